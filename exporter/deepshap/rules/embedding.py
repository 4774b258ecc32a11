"""Rows of a table by their number, as embeddings of categories are: the number is one player.

A number has no path between two rows of the table. What its jump changes is its share, so its multiplier is the sum of
the outputs' multipliers times their changes, over its own change. Its derivative is 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.quotients import rise
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import GRID, Pair, Rule, only, tainted

aten = torch.ops.aten


class Embedding(Rule):
    """The rows [*S, *E] of a table [V, *E] by their numbers [*S]."""

    keeps_finite = True
    reads_inputs = True
    reads_outputs = (0,)
    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.width = table.ndim - 1
        self.register_buffer("table", table.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self.table[inputs[0].to(torch.int64)]]

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (x,) = inputs
        return tainted(self.activate([torch.where(x.isnan(), 0.0, x)]), x.reshape(*x.shape, *[1] * self.width))

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m, (x, r) = only(multipliers), inputs[0]
        change = m * outputs[0].difference()
        total = change.flatten(GRID + x.ndim - 2).sum(-1) if self.width else change
        return [rise(total * (x != r), x, r)]


@rule_for(aten.embedding.default)
def _embedding(call: Call, table: Operand, index: Operand, *_: object, **__: object) -> Rule:
    if not isinstance(index, Active):
        call.refuse(" of a table that depends on the row")
    return Embedding(constant(call, table))
