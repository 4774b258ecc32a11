"""Infidelity: how far the shares of removed players are from what their removal does to the score."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyport.batch.faithfulness.figures import Figures
from whyport.batch.faithfulness.removal import Removal

DRAWS = 32
"""The sets of players that are removed from each row."""


def drawn_sets(players: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Sets of players [DRAWS, G]: of a size from 1 to G, each as likely, and then any set of that size."""
    sizes = rng.integers(1, players + 1, DRAWS)
    places = np.argsort(rng.random((DRAWS, players)), axis=1)
    return places < sizes[:, None]


@dataclass
class Infidelity:
    """The infidelity of explanations (Yeh et al. 2019, arXiv:1901.09392), with the removal of sets as perturbation."""

    absolute: Figures = field(default_factory=Figures)
    """The mean of (sum of shares - fall of the score)² over the sets, in the square of the score's unit."""
    relative: Figures = field(default_factory=Figures)
    """The same over the mean of the squared falls."""

    def add(
        self,
        removal: Removal,
        row: NDArray[np.float32],
        shares: NDArray[np.float64],
        target: int,
        sets: NDArray[np.bool_],
    ) -> None:
        """Add one explanation [G] of a row [F] with sets [M, G] removed."""
        whole = np.zeros((1, len(shares)), dtype=np.bool_)
        scores = removal.scores(row, np.concatenate([whole, sets]), target)
        falls = scores[0] - scores[1:]
        apart = float(((sets @ shares - falls) ** 2).mean())
        size = float((falls**2).mean())
        self.absolute.add([apart])
        self.relative.add([apart / size if size > 0 else np.nan])
