"""Straight paths from references to rows, and the gradients along them."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.background import Background
from batch.explainers.torchscript import TorchScriptModel


class References:
    """The rows that paths start from, R of them, with what every path from them shares.

    Args:
        model: gives scores and gradients.
        background: the rows and their weights.
    """

    def __init__(self, model: TorchScriptModel, background: Background) -> None:
        self.rows = background.rows
        self.weights = background.weights
        self.logits = model.logits(background.rows)
        """[R, C]"""
        classes = np.arange(self.logits.shape[1])
        gradients, _ = model.gradients(background.rows.repeat(len(classes), axis=0), np.tile(classes, len(self.rows)))
        self.gradients = gradients.reshape(len(self.rows), len(classes), -1)
        """[R, C, F]"""

    def __len__(self) -> int:
        return len(self.rows)


class Paths:
    """One path from each of R references to each of N rows; path n * R + k leads from reference k to row n.

    Args:
        model: gives scores and gradients.
        references: where the paths start.
        rows: where they end, [N, F].
        targets: the class whose logit is followed, [N].
    """

    def __init__(
        self,
        model: TorchScriptModel,
        references: References,
        rows: NDArray[np.float32],
        targets: NDArray[np.int64],
    ) -> None:
        self._model = model
        self._references = references
        self._rows = rows
        self._targets = targets
        self.fan = len(references)
        """R"""
        self.weights = np.tile(references.weights, len(rows))
        """[N * R]: those of the references."""
        self.row = np.arange(len(rows)).repeat(self.fan)
        """[N * R]: the row that each path leads to."""
        self.direction = (rows[:, None] - references.rows).reshape(-1, rows.shape[1])
        """[N * R, F]: row - reference."""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def rows(self) -> int:
        """N"""
        return len(self._rows)

    def starts(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Gradients [N * R, F] and scores [N * R] where the paths start, computed once for all rows."""
        gradients = self._references.gradients[:, self._targets].swapaxes(0, 1)
        scores = self._references.logits[:, self._targets].T
        return gradients.reshape(len(self), -1), scores.reshape(-1).astype(np.float64)

    def ends(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Gradients [N * R, F] and scores [N * R] where the paths end, computed once for all references."""
        gradients, scores = self._model.gradients(self._rows, self._targets)
        return gradients[self.row], scores[self.row]

    def evaluate(
        self, paths: NDArray[np.int64], positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Gradients [K, F] and scores [K] at positions in [0, 1] of the paths with these numbers, [K] each."""
        starts = self._references.rows[paths % self.fan]
        points = starts + positions[:, None].astype(np.float32) * self.direction[paths]
        return self._model.gradients(points, self._targets[self.row[paths]])
