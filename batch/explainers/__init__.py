"""The table of explanation methods."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from runtime.errors import UsageError, unknown

if TYPE_CHECKING:
    from batch.explainers.explainer import Explainer


TORCHSCRIPT, ONNX = ENGINES = ("torchscript", "onnx")
"""What runs the explanations: PyTorch, or ONNX Runtime alone."""


@dataclass(frozen=True)
class Home:
    """Where a method is, on one engine."""

    explainer: str
    """module:class, imported on use."""
    capability: str
    """What the bundle must be capable of."""


@dataclass(frozen=True)
class Method:
    """One row of `whyport methods`."""

    homes: Mapping[str, Home]
    """By engine."""
    cost: str
    guarantee: str
    source: str


def _by_gradients(explainer: str) -> dict[str, Home]:
    """The same explainer on either engine."""
    return {TORCHSCRIPT: Home(explainer, "gradients"), ONNX: Home(explainer, "gradient-onnx")}


EXPLAINERS = {
    "gradient": Method(
        homes=_by_gradients("batch.explainers.gradient:Gradient"),
        cost="1 gradient a row",
        guarantee="none: a sensitivity in logits per unit of the feature, not a share of the score",
        source="Simonyan et al. 2014, arXiv:1312.6034",
    ),
    "input-x-gradient": Method(
        homes=_by_gradients("batch.explainers.gradient:InputXGradient"),
        cost="1 gradient a row",
        guarantee="sums to f(x) - f(0) for linear models; completeness_error says how far off it is elsewhere",
        source="Shrikumar et al. 2016, arXiv:1605.01713",
    ),
    "integrated-gradients": Method(
        homes=_by_gradients("batch.explainers.integrated_gradients:IntegratedGradients"),
        cost="30 to 60 gradients a row at the default tolerance, more where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - f(mean of the background) within --tolerance on every row, or converged is false",
        source="Sundararajan et al. 2017, arXiv:1703.01365; each path is refined where it misses its tolerance",
    ),
    "deepshap": Method(
        homes={
            TORCHSCRIPT: Home("batch.explainers.deepshap:DeepShap", "deepshap"),
            ONNX: Home("batch.explainers.onnx_deepshap:OnnxDeepShap", "explain-onnx"),
        },
        cost="1 pass of multipliers a row and reference, which explains every class",
        guarantee="sums to f(x) - mean f(reference) within 1e-4 of the larger of 1 and itself, or converged is false",
        source="Lundberg & Lee 2017, arXiv:1705.07874, with a conserving rule for every operator",
    ),
    "expected-gradients": Method(
        homes=_by_gradients("batch.explainers.integrated_gradients:ExpectedGradients"),
        cost="2 gradients a row and reference at the least, 10 to 20 where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - mean f(reference) within --tolerance on every row, or converged is false",
        source="Erion et al. 2021, arXiv:1906.10670, over every reference instead of samples",
    ),
}


def engine_of(name: str, chosen: str) -> str:
    """The engine that runs a method: the chosen one, or the only one that can; UsageError for an unknown method."""
    if name not in EXPLAINERS:
        raise UsageError(unknown("explanation method", name, EXPLAINERS))
    homes = EXPLAINERS[name].homes
    return chosen if chosen in homes else next(iter(homes))


def explainer_class(name: str, engine: str = TORCHSCRIPT) -> "type[Explainer]":
    """The class of a method on that engine, or on the only one it has; raises as `engine_of`."""
    engine = engine_of(name, engine)
    module, attribute = EXPLAINERS[name].homes[engine].explainer.split(":")
    found: type[Explainer] = getattr(import_module(module), attribute)
    return found
