"""A function of a function of one value, as one step: finite where the value between the two is not.

log x is infinite at 0, and clamp(log x, -20) is -20. Apart, the two have an infinite and a vanishing multiplier.
"""

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.elementwise import Elementwise, Steep
from whyport.exporter.deepshap.rules.linear import Scale, Sum
from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import Rule

aten = torch.ops.aten


class Chain(Steep):
    """outer(inner(x)): the product of both quotients, or the plain quotient where that product is not finite."""

    def __init__(self, inner: Rule, outer: Rule) -> None:
        assert isinstance(inner, Elementwise)
        assert isinstance(outer, Elementwise)

        def function(x: Tensor) -> Tensor:
            return outer.function(inner.function(x))

        def quotient(x: Tensor, r: Tensor) -> Tensor:
            factors = outer.quotient(inner.function(x), inner.function(r)) * inner.quotient(x, r)
            plain = (function(x) - function(r)) / (x - r)
            return torch.where((factors.abs() < torch.inf) | (x == r), factors, plain)

        super().__init__(function, quotient)


def as_function(rule: Rule) -> Elementwise | None:
    """A rule as a function of one value, each element by itself; None where it is more."""
    if isinstance(rule, Scale) and rule.factor.numel() == 1:
        return _affine(float(rule.factor), 0.0)
    if isinstance(rule, Sum) and len(rule.shapes) == rule.offset.numel() == 1:
        return _affine(rule.factors[0], float(rule.offset))
    return rule if isinstance(rule, Elementwise) else None


def _affine(factor: float, offset: float) -> Elementwise:
    return Elementwise(lambda x: x * factor + offset, lambda x, r: torch.full_like(x - r, factor))


@rule_for(aten.nan_to_num.default)
def _nan_to_num(
    call: Call, x: Active, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Rule:
    """x itself where x is finite."""

    def function(x: Tensor) -> Tensor:
        return torch.nan_to_num(x, nan, posinf, neginf)

    def quotient(x: Tensor, r: Tensor) -> Tensor:
        return torch.where(x == r, torch.ones_like(x - r), (function(x) - function(r)) / (x - r))

    return Elementwise(function, quotient)
