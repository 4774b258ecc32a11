"""where() with a constant condition: linear, as each side passes exactly where it is chosen."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule, Shape, aligned, only, unbroadcast

aten = torch.ops.aten


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


@rule_for(aten.where.self)
def _where(call: Call, condition: Operand, first: Operand, second: Operand) -> Rule:
    if isinstance(condition, Active):
        call.refuse(" where its condition depends on the row")
    sides = [first, second]
    shapes = [side.shape for side in sides if isinstance(side, Active)]
    constants = [None if isinstance(side, Active) else constant(call, side) for side in sides]
    return Choice(condition, shapes, constants, len(call.shape))
