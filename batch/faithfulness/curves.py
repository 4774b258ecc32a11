"""Deletion and insertion curves: how fast a score moves as players are removed, or put back, in some order."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyport.batch.faithfulness.figures import Figures
from whyport.batch.faithfulness.removal import Removal

STEPS = 20
"""The most steps of a curve."""
RANDOM_ORDERS = 3
FRACTIONS = np.linspace(0, 1, STEPS + 1)


@dataclass
class Curves:
    """Curves over explanations: of the method's order, and of random orders of the same players."""

    signed: bool
    """Whether players go by their shares, the largest first, and scores count with their signs; else by magnitude."""
    areas: dict[str, Figures] = field(default_factory=lambda: {name: Figures() for name in ("deletion", "insertion")})
    """The area between the method's curve and that of random orders, an explanation each."""
    _sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _count: int = 0

    def add(
        self,
        removal: Removal,
        row: NDArray[np.float32],
        shares: NDArray[np.float64],
        target: int,
        rng: np.random.Generator,
    ) -> None:
        """Add the curves of one explanation [G] of a row [F]."""
        players = len(shares)
        by_share = np.argsort(-shares if self.signed else -np.abs(shares), kind="stable")
        orders = [by_share, *(rng.permutation(players) for _ in range(RANDOM_ORDERS))]
        counts = np.unique(np.round(np.linspace(0, players, min(players, STEPS) + 1)).astype(np.int64))
        gone = np.zeros((len(orders), len(counts), players), dtype=np.bool_)
        for order, own in zip(orders, gone, strict=True):
            for count, removed in zip(counts, own, strict=True):
                removed[order[:count]] = True
        both = np.concatenate([gone, ~gone]).reshape(-1, players)
        scores = removal.scores(row, both, target).reshape(2, len(orders), len(counts))
        deletion, insertion = scores[0, :, :1] - scores[0], scores[1] - scores[1, :, :1]
        for name, moved in (("deletion", deletion), ("insertion", insertion)):
            curves = moved if self.signed else np.abs(moved)
            own, chance = curves[0], curves[1:].mean(axis=0)
            self.areas[name].add([float(np.trapezoid(own - chance, counts / players))])
            for key, curve in ((name, own), (f"{name}_random", chance)):
                spread = np.interp(FRACTIONS, counts / players, curve)
                self._sums[key] = self._sums.get(key, np.zeros(len(FRACTIONS))) + spread
        self._count += 1

    @property
    def means(self) -> dict[str, NDArray[np.float64]]:
        """The mean curves by name, [STEPS + 1] each; empty without an explanation."""
        return {name: sums / self._count for name, sums in self._sums.items()}
