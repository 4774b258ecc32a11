"""The table of explanation methods."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from runtime.errors import UsageError, unknown

if TYPE_CHECKING:
    from batch.explainers.explainer import Explainer


@dataclass(frozen=True)
class Method:
    """One row of `whyport methods`."""

    home: str
    """module:class, imported on use."""
    capability: str
    """What the bundle must be capable of."""
    cost: str
    guarantee: str
    source: str


EXPLAINERS = {
    "gradient": Method(
        home="batch.explainers.gradient:Gradient",
        capability="gradients",
        cost="1 gradient a row",
        guarantee="none: a sensitivity in logits per unit of the feature, not a share of the score",
        source="Simonyan et al. 2014, arXiv:1312.6034",
    ),
    "input-x-gradient": Method(
        home="batch.explainers.gradient:InputXGradient",
        capability="gradients",
        cost="1 gradient a row",
        guarantee="sums to f(x) - f(0) for linear models; completeness_error says how far off it is elsewhere",
        source="Shrikumar et al. 2016, arXiv:1605.01713",
    ),
    "integrated-gradients": Method(
        home="batch.explainers.integrated_gradients:IntegratedGradients",
        capability="gradients",
        cost="30 to 60 gradients a row at the default tolerance, more where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - f(mean of the background) within --tolerance on every row, or converged is false",
        source="Sundararajan et al. 2017, arXiv:1703.01365; each path is refined where it misses its tolerance",
    ),
    "deepshap": Method(
        home="batch.explainers.deepshap:DeepShap",
        capability="deepshap",
        cost="1 pass of multipliers a row and reference, which explains every class",
        guarantee="sums to f(x) - mean f(reference) within 1e-4 of the larger of 1 and itself, or converged is false",
        source="Lundberg & Lee 2017, arXiv:1705.07874, with a conserving rule for every operator",
    ),
    "expected-gradients": Method(
        home="batch.explainers.integrated_gradients:ExpectedGradients",
        capability="gradients",
        cost="2 gradients a row and reference at the least, 10 to 20 where the path has kinks; --steps fixes them",
        guarantee="sums to f(x) - mean f(reference) within --tolerance on every row, or converged is false",
        source="Erion et al. 2021, arXiv:1906.10670, over every reference instead of samples",
    ),
}


def explainer_class(name: str) -> "type[Explainer]":
    """The class of a method; UsageError for an unknown name."""
    if name not in EXPLAINERS:
        raise UsageError(unknown("explanation method", name, EXPLAINERS))
    module, attribute = EXPLAINERS[name].home.split(":")
    found: type[Explainer] = getattr(import_module(module), attribute)
    return found
