"""Whether a bundle can serve the explanations that are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from whyport.batch.methods.settings import ONNX, TORCHSCRIPT
from whyport.runtime.errors import UsageError, unknown

if TYPE_CHECKING:
    from whyport.batch.methods.explainer import Explainer
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import BundleError


@dataclass(frozen=True)
class Home:
    """Where a method is, on one engine."""

    explainer: str
    """module:class, imported on use."""
    capability: str | None
    """What the bundle must be capable of; None for what every bundle can."""


@dataclass(frozen=True)
class Beside:
    """Columns that a method writes beside its attributions."""

    name: str
    """Of the column or, for a value a feature, before the feature's name."""
    per_feature: bool = False
    """One value a feature, in the layout of the attributions; otherwise one array."""
    per_class: bool = True
    """Whether it differs between the explained classes."""
    output: str | None = None
    """The model's output whose shape the array has; None for a list, whose length is the model's own matter."""
    option: str | None = None
    """The setting that asks for it; None where it is always there."""


@dataclass(frozen=True)
class Method:
    """One row of `whyport methods`."""

    homes: Mapping[str, Home]
    """By engine."""
    cost: str
    guarantee: str
    source: str
    beside: tuple[Beside, ...] = ()


def _by_forward_passes(explainer: str, capability: str | None = None) -> dict[str, Home]:
    return {ONNX: Home(explainer, capability)}


def _by_gradients(explainer: str) -> dict[str, Home]:
    """The same explainer on either engine."""
    return {TORCHSCRIPT: Home(explainer, "gradients"), ONNX: Home(explainer, "gradient-onnx")}


EXPLAINERS = {
    "gradient": Method(
        homes=_by_gradients("whyport.batch.methods.gradients:Gradient"),
        cost="1 gradient a row",
        guarantee="none: a sensitivity in logits per unit of the feature, not a share of the score",
        source="Simonyan et al. 2014, arXiv:1312.6034",
    ),
    "input-x-gradient": Method(
        homes=_by_gradients("whyport.batch.methods.gradients:InputXGradient"),
        cost="1 gradient a row",
        guarantee="sums to f(x) - f(0) for linear models; completeness_error says how far off it is elsewhere",
        source="Shrikumar et al. 2016, arXiv:1605.01713",
    ),
    "integrated-gradients": Method(
        homes=_by_gradients("whyport.batch.methods.integrals.integrated_gradients:IntegratedGradients"),
        cost="30 to 60 gradients a row at the default tolerance, more where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - f(mean of the background) within --tolerance on every row, or converged is false",
        source="Sundararajan et al. 2017, arXiv:1703.01365; each path is refined where it misses its tolerance",
    ),
    "deepshap": Method(
        homes={
            TORCHSCRIPT: Home("whyport.batch.methods.deepshap.deepshap:DeepShap", "deepshap"),
            ONNX: Home("whyport.batch.methods.deepshap.onnx:OnnxDeepShap", "explain-onnx"),
        },
        cost="1 pass of multipliers a row and reference, which explains every class",
        guarantee="sums to f(x) - mean f(reference) within 1e-4 of the larger of 1 and itself, or converged is false",
        source="Lundberg & Lee 2017, arXiv:1705.07874, with a conserving rule for every operator",
    ),
    "expected-gradients": Method(
        homes=_by_gradients("whyport.batch.methods.integrals.integrated_gradients:ExpectedGradients"),
        cost="2 gradients a row and reference at the least, 10 to 20 where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - mean f(reference) within --tolerance on every row, or converged is false",
        source="Erion et al. 2021, arXiv:1906.10670, over every reference instead of samples",
    ),
    "shapley": Method(
        homes=_by_forward_passes("whyport.batch.methods.shapley.shapley:Shapley"),
        cost="2 (features - 1) forward passes a pair of permutations, 32 pairs or more a row, for every class; up "
        "to 12 features 2^features x references",
        guarantee="unbiased, a standard error on every value, sums to f(x) - mean f(reference) up to rounding; exact "
        "up to 12 features; converged is false where a standard error exceeds --tolerance",
        source="Shapley 1953; Castro et al. 2009; antithetic pairs: Mitchell et al. 2022, arXiv:2104.12199",
        beside=(Beside("standard_error", per_feature=True),),
    ),
    "grad-cam": Method(
        homes={TORCHSCRIPT: Home("whyport.batch.methods.maps.grad_cam:GradCam", "grad-cam")},
        cost="1 forward pass a row, and 1 gradient of what follows the convolutions",
        guarantee="none: a heatmap from 0 to 1, of where the last convolution block saw what speaks for the class",
        source="Selvaraju et al. 2017, arXiv:1610.02391",
        beside=(Beside("grad_cam_map", option="grad_cam_map"),),
    ),
    "attention": Method(
        homes=_by_forward_passes("whyport.batch.methods.maps.attention:Attention", "attention"),
        cost="1 forward pass a row, for every class",
        guarantee="none: the model's own weights, the same for every class; what is attended to need not matter",
        source="Bahdanau et al. 2015, arXiv:1409.0473",
        beside=(Beside("attention", per_class=False, output="attention"),),
    ),
    "occlusion": Method(
        homes=_by_forward_passes("whyport.batch.methods.occlusion:Occlusion"),
        cost="1 forward pass a row and feature, for every class",
        guarantee="sums to f(x) - f(mean of the background) for additive models; completeness_error says how far off "
        "it is elsewhere",
        source="Zeiler & Fergus 2014, arXiv:1311.2901, for single features",
    ),
    "smoothgrad": Method(
        homes=_by_gradients("whyport.batch.methods.gradients:SmoothGrad"),
        cost="--samples gradients a row, 50 by default",
        guarantee="none: a sensitivity in logits per unit of the feature, with noise averaged out",
        source="Smilkov et al. 2017, arXiv:1706.03825",
    ),
}


def engine_of(name: str, chosen: str) -> str:
    """The engine that runs a method: the chosen one, or the only one that can; UsageError for an unknown method."""
    if name not in EXPLAINERS:
        raise UsageError(unknown("explanation method", name, EXPLAINERS))
    homes = EXPLAINERS[name].homes
    return chosen if chosen in homes else next(iter(homes))


def beside_of(name: str, settings: object) -> tuple[Beside, ...]:
    """What a method writes beside its attributions with these settings."""
    return tuple(b for b in EXPLAINERS[name].beside if b.option is None or getattr(settings, b.option))


def explainer_class(name: str, engine: str = TORCHSCRIPT) -> "type[Explainer]":
    """The class of a method on that engine, or on the only one it has; raises as `engine_of`."""
    engine = engine_of(name, engine)
    module, attribute = EXPLAINERS[name].homes[engine].explainer.split(":")
    found: type[Explainer] = getattr(import_module(module), attribute)
    return found


def check_capabilities(sidecar: Sidecar, engines: Mapping[str, str]) -> None:
    """Raise BundleError with the reason where a bundle cannot serve a method on its engine.

    Args:
        sidecar: the bundle's.
        engines: the engine by method.
    """
    for name, engine in engines.items():
        needed = EXPLAINERS[name].homes[engine].capability
        if needed is None:
            continue
        capability = sidecar.capabilities.get(needed)
        if capability is None or not capability.available:
            reason = capability.reason if capability else f"it has no {needed!r}"
            raise BundleError(f"bundle {sidecar.name!r} cannot serve {name!r}: {reason}")
