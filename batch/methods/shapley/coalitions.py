"""Shapley values from every coalition of players: exact, for few players."""

from math import factorial

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import CALL_VALUES
from whyport.batch.methods.players import PlayerMap
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


class Coalitions:
    """The game in which a coalition's worth is the mean score where only its columns have the row's values.

    Args:
        model: gives scores.
        references: R rows that give the other columns their values.
        players: the G players and their columns.
        base_values: the worth of the empty coalition, by target, [K].
    """

    def __init__(
        self, model: OnnxModel, references: References, players: PlayerMap, base_values: NDArray[np.float64]
    ) -> None:
        self._model, self._references, self._base_values = model, references, base_values
        count = len(players)
        coalitions = np.arange(1 << count)
        members = (coalitions[:, None] >> np.arange(count) & 1).astype(np.bool_)
        size = members.sum(axis=1)
        gained = np.array([0.0, *(factorial(s - 1) * factorial(count - s) for s in range(1, count + 1))])
        lost = np.array([*(factorial(s) * factorial(count - s - 1) for s in range(count)), 0.0])
        shares = np.where(members, gained[size][:, None], -lost[size][:, None])
        self._shares = shares / factorial(count)
        self._members = players.columns_of(members)

    @property
    def evaluations(self) -> int:
        """Forward passes per row."""
        return (len(self._members) - 2) * len(self._references.rows)

    def explain(self, rows: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """The shares [N, K, G] of every target: sum over S without i of |S|! (G - |S| - 1)! / G! (v(S + i) - v(S)).

        Args:
            rows: [N, F].
            scores: the rows' scores, [N, K].
        """
        worths = np.empty((len(rows), len(self._members), scores.shape[1]))
        worths[:, 0], worths[:, -1] = self._base_values, scores
        inner, references = self._members[1:-1], self._references
        call = max(1, CALL_VALUES // references.rows.size)
        for some in batch_slices(len(inner), call):
            members = inner[some, None]
            for part in batch_slices(len(rows), max(1, call // len(members))):
                mixed = np.where(members, rows[part, None, None], references.rows)
                of_mixed = self._model.scores(mixed.reshape(-1, rows.shape[1])).reshape(*mixed.shape[:3], -1)
                worths[part, 1:-1][:, some] = np.einsum("nsrc,r->nsc", of_mixed, references.weights)
        values: NDArray[np.float64] = np.einsum("nsc,sg->ncg", worths, self._shares)
        return values
