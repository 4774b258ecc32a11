"""Shapley values from every coalition of features: exact, for few features."""

from math import factorial

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import CALL_VALUES
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


class Coalitions:
    """The game in which a coalition's worth is the mean score where only its features have the row's values.

    Args:
        model: gives scores.
        references: R rows that give the other features their values.
        base_values: the worth of the empty coalition, by target, [K].
    """

    def __init__(self, model: OnnxModel, references: References, base_values: NDArray[np.float64]) -> None:
        self._model, self._references, self._base_values = model, references, base_values
        features = references.rows.shape[1]
        coalitions = np.arange(1 << features)
        self._members = (coalitions[:, None] >> np.arange(features) & 1).astype(np.bool_)
        size = self._members.sum(axis=1)
        gained = np.array([0.0, *(factorial(s - 1) * factorial(features - s) for s in range(1, features + 1))])
        lost = np.array([*(factorial(s) * factorial(features - s - 1) for s in range(features)), 0.0])
        shares = np.where(self._members, gained[size][:, None], -lost[size][:, None])
        self._shares = shares / factorial(features)

    @property
    def evaluations(self) -> int:
        """Forward passes per row."""
        return (len(self._members) - 2) * len(self._references.rows)

    def explain(self, rows: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """The shares [N, K, F] of every target: sum over S without i of |S|! (F - |S| - 1)! / F! (v(S + i) - v(S)).

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
        values: NDArray[np.float64] = np.einsum("nsc,sf->ncf", worths, self._shares)
        return values
