"""Elements at positions that are given, as the last valid step of a sequence is."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.rule import GRID, Pair, Rule, Shape, only


class Gathering(Rule):
    """Output element i is the input's element number n[i], flattened; the numbers n are the second input.

    Args:
        given: the shape of the input.
        shape: of the output, and of the numbers.
    """

    keeps_finite = True
    reads_outputs = (1,)

    def __init__(self, given: Shape, shape: Shape) -> None:
        super().__init__()
        self.given, self.shape, self.size = given, shape, prod(given)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        x, numbers = inputs
        output = x.flatten(1).index_select(1, self._index(numbers[0]))
        return [output.reshape(x.shape[0], *self.shape), numbers]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        index = self._index(outputs[0].row[0, 0])
        flat = m.flatten(GRID).flatten(0, GRID - 1)
        x = flat.new_zeros(flat.shape[0], self.size).index_add(1, index, flat)
        return [x.reshape(*m.shape[:GRID], *self.given), m]  # the second is nobody's, and is left out

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Any element may be gathered, of some length."""
        x, numbers = inputs
        return [x.flatten(1).sum(1).reshape(-1, *[1] * len(self.shape)).expand(-1, *self.shape), numbers]

    @staticmethod
    def _index(numbers: Tensor) -> Tensor:
        return numbers.flatten().to(torch.int64)
