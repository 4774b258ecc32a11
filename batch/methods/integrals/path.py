"""Straight paths from references to rows, and the gradients along them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.request import Request
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References

AT_ONCE = 256
"""Positions whose gradients are computed together at least, where `CELLS_AT_ONCE` allows it."""
CELLS_AT_ONCE = 1 << 22
"""The most cells of such positions, each of which takes six float32 numbers."""

KEPT_BYTES = 8
"""What the gradients at all references take for each cell and target: themselves, and the cells while they are made."""

Values = tuple[NDArray[np.float32], NDArray[np.float64]]
"""Gradients [K, P] and scores [K]."""


class Starts:
    """R rows that paths start from, with the values that all paths from them share.

    Args:
        model: gives scores and gradients.
        background: the R rows and their weights.
        memory: the most bytes that their gradients may take. Of images, or with many targets, they take more: they are
            then computed wherever they are needed, of the targets that are.
    """

    def __init__(self, model: Model, background: References, memory: int) -> None:
        self.cells = model.cells(background.rows)
        """[R, P]"""
        self.weights = background.weights
        self.scores = model.scores(background.rows)
        """[R, K]"""
        self._model = model
        self._gradients: NDArray[np.float32] | None = None
        """[R, K, P]"""
        if KEPT_BYTES * self.cells.size * self.scores.shape[1] <= memory:
            targets = np.arange(self.scores.shape[1])
            gradients, _ = model.gradients(self.cells.repeat(len(targets), axis=0), np.tile(targets, len(self)))
            self._gradients = gradients.reshape(len(self), len(targets), -1)

    def __len__(self) -> int:
        return len(self.cells)

    def values(self, reference: NDArray[np.int64], target: NDArray[np.int64]) -> Values:
        """The gradients [K, P] and scores [K] of targets at references, [K] each."""
        scores = self.scores[reference, target].astype(np.float64)
        if self._gradients is not None:
            return self._gradients[reference, target], scores
        distinct, place = np.unique(np.stack([reference, target]), axis=1, return_inverse=True)
        gradients, _ = self._model.gradients(self.cells[distinct[0]], distinct[1])
        return gradients[place.reshape(-1)], scores

    def base_values(self) -> NDArray[np.float64]:
        """The weighted mean score of every target, [K]."""
        means: NDArray[np.float64] = self.weights @ self.scores.astype(np.float64)
        return means


class Paths:
    """One path from each of R references to each of N rows, by their cells; path n * R + k leads from k to row n.

    No value is held per path, because there may be many paths. An argument `paths` holds the numbers of K paths.

    Args:
        model: gives scores and gradients.
        references: where the paths start.
        request: N explanations, whose rows the paths lead to and whose scores they follow.
        players: the G players and their cells.
    """

    def __init__(self, model: Model, references: Starts, request: Request, players: PlayerMap) -> None:
        self._model = model
        self._players = players
        self._references = references
        self._request = request
        self._cells = request.cells(model)
        self._targets = request.target
        self.fan = len(references)
        """R"""

    @property
    def rows(self) -> int:
        """The number of rows, N."""
        return len(self._cells)

    @property
    def players(self) -> int:
        """The number of players, G."""
        return len(self._players)

    def row(self, paths: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows that paths lead to, [K]."""
        return paths // self.fan

    def weights(self, paths: NDArray[np.int64]) -> NDArray[np.float64]:
        """The weights of the paths' references, [K]."""
        return self._references.weights[paths % self.fan]

    def direction(self, paths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The direction of each path, row - reference, [K, P]."""
        return self._cells[paths // self.fan] - self._references.cells[paths % self.fan]

    def shares(self, paths: NDArray[np.int64], gradients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each player's sum of gradient [K, P] times the path's weight and direction, [K, G]."""
        weights = self.weights(paths).astype(np.float32)[:, None]
        return self._players.sum_cells(gradients * (weights * self.direction(paths)))

    def weighted(self, paths: NDArray[np.int64], compute: Callable[[slice], Values]) -> Values:
        """The players' shares [K, G] and the scores [K], both times the weights, in slices of bounded memory.

        Args:
            paths: K paths.
            compute: gives the gradients and scores of some of them.
        """
        shares, scores = np.empty((len(paths), self.players), dtype=np.float32), np.empty(len(paths))
        fitting = CELLS_AT_ONCE // self._cells.shape[1]
        for part in batch_slices(len(paths), fitting // AT_ONCE * AT_ONCE or max(1, fitting)):
            gradients, score = compute(part)
            shares[part] = self.shares(paths[part], gradients)
            scores[part] = score * self.weights(paths[part])
        return shares, scores

    def starts(self, paths: NDArray[np.int64]) -> Values:
        """Gradients [K, P] and scores [K] where paths start."""
        return self._references.values(paths % self.fan, self._targets[paths // self.fan])

    def ends(self, paths: NDArray[np.int64]) -> Values:
        """Gradients [K, P] and scores [K] where paths end, computed once for all references."""
        gradients, scores = self._request.gradients(self._model)
        row = paths // self.fan
        return gradients[row], scores[row]

    def evaluate(self, paths: NDArray[np.int64], positions: NDArray[np.float64]) -> Values:
        """Gradients [K, P] and scores [K] at positions in [0, 1], [K]."""
        steps = positions[:, None].astype(np.float32) * self.direction(paths)
        cells = self._references.cells[paths % self.fan] + steps
        return self._model.gradients(cells, self._targets[paths // self.fan])
