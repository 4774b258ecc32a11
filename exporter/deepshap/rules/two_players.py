"""Functions of two values: the Shapley value of a game of two players.

A player's multiplier is the mean of two quotients: with the other player in the row's state, and in the reference's.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.rule import Pair, Rule, Shape, aligned, only, settled, tainted, unbroadcast

Partial = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The quotient of one player between two states, with the other player fixed."""


class TwoPlayers(Rule):
    """f(a, b), broadcast.

    Args:
        shapes: of both players and of the result.
        function: f.
        of_left: (f(x, b) - f(r, b)) / (x - r) from x, r and b.
        of_right: (f(a, x) - f(a, r)) / (x - r) from x, r and a.
    """

    reads_inputs = True

    def __init__(
        self,
        shapes: tuple[Shape, Shape, Shape],
        function: Callable[[Tensor, Tensor], Tensor],
        of_left: Partial,
        of_right: Partial,
    ) -> None:
        super().__init__()
        self.left, self.right, shape = shapes
        self.rank = len(shape)
        self.function, self.of_left, self.of_right = function, of_left, of_right

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        left, right = inputs
        return [
            self.function(aligned(left, 1, len(self.left), self.rank), aligned(right, 1, len(self.right), self.rank))
        ]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        left, right = self._aligned(inputs[0], self.left), self._aligned(inputs[1], self.right)
        of_left = self._share(m, left, right, self.of_left)
        of_right = self._share(m, right, left, self.of_right)
        return [unbroadcast(of_left, self.left), unbroadcast(of_right, self.right)]

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        players = (
            aligned(x, 1, len(shape), self.rank) for x, shape in zip(inputs, (self.left, self.right), strict=True)
        )
        return tainted(self.activate(inputs), *players)

    def _aligned(self, value: Pair, shape: Shape) -> Pair:
        row = aligned(value.row, 2, len(shape), self.rank)
        same = value.row is value.reference
        return Pair(row, row if same else aligned(value.reference, 2, len(shape), self.rank))

    @staticmethod
    def _share(m: Tensor, player: Pair, other: Pair, partial: Partial) -> Tensor:
        mean = (partial(*player, other.row) + partial(*player, other.reference)) * 0.5
        share = settled(m * mean, player)
        return share if player.row is player.reference else torch.where(m == 0, torch.zeros_like(share), share)
