"""Positions on paths with the values computed there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Nodes:
    """Positions on paths with the values computed there, K in all, ordered by path and position."""

    path: NDArray[np.int64]
    position: NDArray[np.float64]
    shares: NDArray[np.float32]
    """[K, G]: each player's sum of the gradient times the path's direction and weight."""
    score: NDArray[np.float64]
    """[K]: the score times the weight."""

    def __len__(self) -> int:
        return len(self.path)

    def take(self, chosen: NDArray[np.bool_]) -> "Nodes":
        """The chosen nodes."""
        if chosen.all():
            return self
        return Nodes(self.path[chosen], self.position[chosen], self.shares[chosen], self.score[chosen])

    def join(self, other: "Nodes") -> "Nodes":
        """The nodes of both, in order."""
        path, position = np.concatenate([self.path, other.path]), np.concatenate([self.position, other.position])
        order = np.lexsort((position, path))
        shares, score = np.concatenate([self.shares, other.shares]), np.concatenate([self.score, other.score])
        return Nodes(path[order], position[order], shares[order], score[order])
