"""Scores of a row where some players have the values of references in place of their own."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.explainer import CALL_VALUES, Explainer
from whyport.runtime.bundle.references import References

MOST_REFERENCES = 16
"""The most references that stand in for a player: of more, as many are drawn by their weights."""


@dataclass(frozen=True)
class Removal:
    """Removes players of rows [F] of one explainer."""

    explainer: Explainer
    rows: NDArray[np.float32]
    """[R, F]: what stands in for what is removed."""
    weights: NDArray[np.float64]
    """[R], with the sum 1."""

    @classmethod
    def of(cls, explainer: Explainer, rng: np.random.Generator) -> Self:
        """By the explainer's own references; of a method without any, by the run's."""
        references: References = explainer.references or explainer.background
        rows, weights = references.rows, references.weights / references.weights.sum()
        if len(rows) > MOST_REFERENCES:
            chosen = rng.choice(len(rows), MOST_REFERENCES, p=weights)
            rows, weights = rows[chosen], np.full(MOST_REFERENCES, 1 / MOST_REFERENCES)
        return cls(explainer, rows, weights)

    def scores(self, row: NDArray[np.float32], removed: NDArray[np.bool_], target: int) -> NDArray[np.float64]:
        """The mean scores of a target [M] of a row [F] with the players [M, G] removed."""
        found = np.empty(len(removed))
        at_once = max(1, CALL_VALUES // max(self.rows.size, 1))
        for start in range(0, len(removed), at_once):
            gone = self.explainer.players.columns_of(removed[start : start + at_once])
            mixed = np.where(gone[:, None, :], self.rows[None], row).astype(np.float32)
            scores = self.explainer.model.scores(mixed.reshape(-1, len(row)))[:, target]
            found[start : start + at_once] = scores.reshape(len(gone), -1).astype(np.float64) @ self.weights
        return found
