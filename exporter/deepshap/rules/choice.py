"""where(): linear where its condition is constant, a game of three players where it depends on the row.

With a condition c of 0 or 1, where(c, a, b) = c a + (1 - c) b: two products. In the Shapley value of a product, c has
half of a + a' as its multiplier, and a half of c + c' (Shapley 1953).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule, Shape, aligned, only, tainted, unbroadcast

aten = torch.ops.aten

FARTHEST = 1e18
"""Stands for infinity as a constant side: no softmax tells them apart, and the change to it is a number."""


class Choice(Rule):
    """Where the condition holds the first side, elsewhere the second; a side that is None is active."""

    keeps_finite = True
    condition: Tensor

    def __init__(self, condition: Tensor, shapes: Sequence[Shape], sides: Sequence[Tensor | None], rank: int) -> None:
        super().__init__()
        self.shapes, self.rank = shapes, rank
        self.active = [side is None for side in sides]
        self.register_buffer("condition", condition.clone())
        for i, side in enumerate(sides):
            self.register_buffer(f"side_{i}", None if side is None else side.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        waiting = (aligned(x, 1, len(shape), self.rank) for x, shape in zip(inputs, self.shapes, strict=True))
        first, second = (next(waiting) if a else self.get_buffer(f"side_{i}") for i, a in enumerate(self.active))
        return [torch.where(self.condition, first, second)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        chosen = [condition for condition, a in zip((self.condition, ~self.condition), self.active, strict=True) if a]
        return [unbroadcast(m * condition, shape) for condition, shape in zip(chosen, self.shapes, strict=True)]


class GivenChoice(Rule):
    """Where a given condition of 0 or 1 holds the first side, elsewhere the second: linear, as `Choice` is.

    Args:
        shapes: of the condition, and of the active sides.
        sides: the constant ones; None for an active one.
        rank: the number of the result's axes.
    """

    keeps_finite = True
    reads_outputs = (1,)

    def __init__(self, shapes: Sequence[Shape], sides: Sequence[Tensor | None], rank: int) -> None:
        super().__init__()
        self.shapes, self.rank = shapes, rank
        self.active = [side is None for side in sides]
        for i, side in enumerate(sides):
            self.register_buffer(f"side_{i}", None if side is None else side.clamp(-FARTHEST, FARTHEST))

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        condition, first, second = self._aligned(inputs)
        return [torch.where(condition > 0.5, first, second), condition]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m, holds = only(multipliers), outputs[0].row > 0.5
        chosen = [condition for condition, a in zip((holds, ~holds), self.active, strict=True) if a]
        shares = [unbroadcast(m * condition, shape) for condition, shape in zip(chosen, self.shapes[1:], strict=True)]
        return [m, *shares]  # the condition's is nobody's, and is left out

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Either side may be chosen, of some length."""
        condition, first, second = self._aligned(inputs)
        return [torch.where(condition > 0.5, first, second) + 0 * (first + second), condition]

    def _aligned(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        condition, *sides = (aligned(x, 1, len(shape), self.rank) for x, shape in zip(inputs, self.shapes, strict=True))
        waiting = iter(sides)
        first, second = (next(waiting) if a else self.get_buffer(f"side_{i}") for i, a in enumerate(self.active))
        return condition, first, second


class Branch(Rule):
    """Where an active condition of 0 or 1 holds the first side, elsewhere the second.

    A side may be infinite, undefined or next to it where it is not chosen, as s / n is for n = 0. What is infinite or
    undefined counts as unchanged. Where the condition depends on the same features, that state never comes with the
    other condition: it counts as no farther from 0 than the chosen values together are.

    Args:
        shapes: of the condition, and of the active sides.
        sides: the constant ones; None for an active one.
        shape: of the result.
    """

    reads_inputs = True
    reads_outputs = (0,)

    def __init__(self, shapes: Sequence[Shape], sides: Sequence[Tensor | None], shape: Shape) -> None:
        super().__init__()
        self.shapes, self.rank = shapes, len(shape)
        self.active = [side is None for side in sides]
        self.keeps_finite = all(side is None or bool(side.isfinite().all()) for side in sides)
        for i, side in enumerate(sides):
            self.register_buffer(f"side_{i}", None if side is None else side.clamp(-FARTHEST, FARTHEST))
            self.register_buffer(f"shared_{i}", torch.zeros(shape, dtype=torch.bool))

    def common(self, depend: Sequence[Tensor]) -> list[Tensor]:
        """Where the condition and each active side depend on what is tried, [B, *shape], by where each input does."""
        condition, *sides = (aligned(x, 1, len(shape), self.rank) for x, shape in zip(depend, self.shapes, strict=True))
        return [condition & side for side in sides]

    def share(self, found: Sequence[Tensor]) -> None:
        """Take in where the condition and each active side depend on a common feature, [*shape]."""
        for i, shared in zip((i for i, a in enumerate(self.active) if a), found, strict=True):
            setattr(self, f"shared_{i}", shared)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        condition, *sides = (aligned(x, 1, len(shape), self.rank) for x, shape in zip(inputs, self.shapes, strict=True))
        first, second = self._both(sides)
        return [torch.where(condition > 0.5, first, second).to(condition.dtype)]

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        values = (aligned(x, 1, len(shape), self.rank) for x, shape in zip(inputs, self.shapes, strict=True))
        return tainted(self.activate(inputs), *values)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        rows, references = (
            [aligned(pair[state], 2, len(shape), self.rank) for pair, shape in zip(inputs, self.shapes, strict=True)]
            for state in (0, 1)
        )
        sides = [Pair(*states) for states in zip(self._both(rows[1:]), self._both(references[1:]), strict=True)]
        reach = outputs[0].row.abs() + outputs[0].reference.abs()
        within = [
            _within(side, torch.where(self.get_buffer(f"shared_{i}"), reach, torch.inf)) for i, side in enumerate(sides)
        ]
        gain = (within[0].row + within[0].reference - within[1].row - within[1].reference) * 0.5
        shares = [m * gain]
        weight = (rows[0] + references[0]) * 0.5
        for i, chosen in enumerate((weight, 1 - weight)):
            if self.active[i]:
                shares.append(m * torch.where(chosen < 1, chosen * _part(sides[i], within[i]), chosen))
        return [unbroadcast(share, shape) for share, shape in zip(shares, self.shapes, strict=True)]

    def _both(self, active: Sequence[Tensor]) -> list[Tensor]:
        waiting = iter(active)
        return [next(waiting) if a else self.get_buffer(f"side_{i}") for i, a in enumerate(self.active)]


def _within(side: Pair, reach: Tensor) -> Pair:
    """A side that is unchanged where it is undefined, and no farther from 0 than `reach`."""
    known = [value.abs() < torch.inf for value in side]
    row = torch.where(known[0], side.row, torch.where(known[1], side.reference, 0.0))
    reference = torch.where(known[1], side.reference, row)
    return Pair(*(torch.minimum(torch.maximum(value, -reach), reach) for value in (row, reference)))


def _part(side: Pair, within: Pair) -> Tensor:
    """What share of a side's change is within reach."""
    change = within.difference()
    same = (within.row == side.row) & (within.reference == side.reference)
    return torch.where(same, 1.0, torch.where(change == 0, 0.0, change / side.difference()))


@rule_for(aten.where.self)
def _where(call: Call, condition: Operand, first: Operand, second: Operand) -> Rule:
    sides = [first, second]
    shapes = [side.shape for side in sides if isinstance(side, Active)]
    constants = [None if isinstance(side, Active) else constant(call, side) for side in sides]
    if isinstance(condition, Active) and condition.given:
        return GivenChoice([condition.shape, *shapes], constants, len(call.shape))
    if isinstance(condition, Active):
        return Branch([condition.shape, *shapes], constants, call.shape)
    return Choice(condition, shapes, constants, len(call.shape))
