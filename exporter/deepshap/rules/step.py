"""Step functions of one value: comparisons with constants, rounding, signs, casts to whole numbers.

Between two points, a step function changes by whole steps, however near the points are: the rescale rule. Its
derivative is 0. True is 1 and false is 0, so that what follows needs no rules of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.elementwise import Elementwise, Function
from whyport.exporter.deepshap.rules.linear import Sum
from whyport.exporter.deepshap.rules.quotients import rise
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule, Shape, aligned, only, tainted, unbroadcast
from whyport.exporter.deepshap.rules.shape import Reshape
from whyport.exporter.deepshap.rules.two_players import TwoPlayers

aten = torch.ops.aten

Comparison = Callable[[Tensor, Any], Tensor]


class Jump(Elementwise):
    """A step function."""

    def __init__(self, function: Function) -> None:
        super().__init__(function, lambda x, r: rise(function(x) - function(r), x, r))

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return tainted(self.activate(inputs), inputs[0])


class ConstantComparison(Rule):
    """Whether an active value compares with constants, broadcast."""

    keeps_finite = True
    reads_inputs = True
    bound: Tensor

    def __init__(self, given: Shape, bound: Tensor, shape: Shape, compare: Comparison) -> None:
        super().__init__()
        self.given, self.rank, self.compare = given, len(shape), compare
        self.register_buffer("bound", bound.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self._holds(aligned(inputs[0], 1, len(self.given), self.rank))]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        x, r = (aligned(value, 2, len(self.given), self.rank) for value in inputs[0])
        return [unbroadcast(only(multipliers) * rise(self._holds(x) - self._holds(r), x, r), self.given)]

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return tainted(self.activate(inputs), aligned(inputs[0], 1, len(self.given), self.rank))

    def _holds(self, x: Tensor) -> Tensor:
        return self.compare(x, self.bound).to(x.dtype)


_COMPARISONS: dict[str, Comparison] = {
    "eq": torch.eq,
    "ne": torch.ne,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
}
_OPERATORS = [
    overload for name in _COMPARISONS for overload in (getattr(aten, name).Scalar, getattr(aten, name).Tensor)
]
DISCRETE = {*_OPERATORS, aten.logical_not.default, aten._to_copy.default}
"""Operators that make truths or whole numbers of other numbers."""
_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


@rule_for(*_OPERATORS)
def _compare(call: Call, left: Operand, right: Any) -> Rule:
    name = call.operator.name().removeprefix("aten::").partition(".")[0]
    compare = _COMPARISONS[name]
    if isinstance(left, Active) and isinstance(right, Active):
        return _of_two(call, left, right, compare)
    if not isinstance(left, Active):
        left, right, compare = right, left, _COMPARISONS[_MIRRORED.get(name, name)]
    # As the network compares it: in its own precision, which a program in float64 must not change.
    kind = left.dtype if left.dtype.is_floating_point else torch.get_default_dtype()
    bound = constant(call, right).to(kind)
    if bound.isinf().any():
        call.refuse(" with an infinite bound")
    if bound.numel() > 1 or tuple(left.shape) != call.shape:
        return ConstantComparison(tuple(left.shape), bound, call.shape, compare)
    number = float(bound)
    return Jump(lambda x: compare(x, number).to(x.dtype))


def _of_two(call: Call, left: Active, right: Active, compare: Comparison) -> Rule:
    """Whether one value compares with another: each is a player."""

    def function(a: Tensor, b: Tensor) -> Tensor:
        return compare(a, b).to(a.dtype)

    return TwoPlayers(
        (left.shape, right.shape, call.shape),
        function,
        lambda x, r, other: rise(function(x, other) - function(r, other), x, r),
        lambda x, r, other: rise(function(other, x) - function(other, r), x, r),
    )


_STEPS: dict[Any, Function] = {
    aten.floor.default: torch.floor,
    aten.ceil.default: torch.ceil,
    aten.round.default: torch.round,
    aten.trunc.default: torch.trunc,
    aten.sign.default: torch.sign,
}


@rule_for(*_STEPS)
def _step(call: Call, x: Active) -> Rule:
    return Jump(_STEPS[call.operator])


@rule_for(aten.logical_not.default)
def _not(call: Call, x: Active) -> Rule:
    """1 - x of a truth, which is linear."""
    if x.dtype == torch.bool:
        return Sum([x.shape], [-1.0], torch.tensor(1.0), call.shape)
    return Jump(lambda x: (x == 0).to(x.dtype))


@rule_for(aten._to_copy.default)
def _cast(call: Call, x: Active, **_: Any) -> Rule:
    """To whole numbers towards 0; to a truth of what is not 0."""
    if call.dtype == torch.bool and x.dtype != torch.bool:
        return Jump(lambda x: (x != 0).to(x.dtype))
    if x.dtype.is_floating_point and not call.dtype.is_floating_point:
        return Jump(torch.trunc)
    return Reshape(x.shape, call.shape)
