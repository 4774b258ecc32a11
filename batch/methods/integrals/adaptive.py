"""Integrals of a gradient along straight paths, refined only where a row needs it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.integrals.path import Paths

# The share of the intervals that is halved at a time, in a row that misses its tolerance. A smaller share chooses
# intervals better, and takes more rounds.
HALVED = 0.25

# Suppose a gradient changes by d within an interval, all at once, at an unknown position. The trapezoidal rule's error
# is then uniform between -d/2 and d/2 times the interval's length, with this variance. For smooth changes it
# overestimates the error.
JUMP_VARIANCE = 1 / 12

GOLDEN_RATIO = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Nodes:
    """Positions on paths with the values computed there, K in all, ordered by path and position."""

    path: NDArray[np.int64]
    position: NDArray[np.float64]
    shares: NDArray[np.float32]
    """[K, G]: each player's sum of the gradient times the path's direction and weight."""
    score: NDArray[np.float64]
    """[K]: the score times the weight."""

    def take(self, chosen: NDArray[np.bool_]) -> "Nodes":
        """The chosen nodes."""
        return Nodes(self.path[chosen], self.position[chosen], self.shares[chosen], self.score[chosen])

    def join(self, other: "Nodes") -> "Nodes":
        """The nodes of both, in order."""
        path, position = np.concatenate([self.path, other.path]), np.concatenate([self.position, other.position])
        order = np.lexsort((position, path))
        shares, score = np.concatenate([self.shares, other.shares]), np.concatenate([self.score, other.score])
        return Nodes(path[order], position[order], shares[order], score[order])


class AdaptiveIntegral:
    """The trapezoidal rule, with intervals halved where and only where a row misses its tolerance.

    Completeness holds on every piece of a path: the integral over [a, b], summed over the players, is f(b) - f(a).
    What is missing is the piece's error, known exactly and for free.

    Errors of single players can cancel in that sum. A row has therefore converged only if, in addition, no player's
    own estimated error exceeds the tolerance.

    Different references start with different positions, as evenly spread as the positions of one long path. Their
    errors are then independent, and add up like standard deviations.

    New rows are started as soon as there is room for their nodes, so that passes stay full while others finish.

    Args:
        paths: what to integrate along; a row's integral is the weighted sum over its references.
        tolerance: the limit for the completeness error and each player's estimated error, by row, [N], in the unit of
            the score.
        nodes: inner nodes of each path at the start; fewer where `max_evaluations` does not hold them.
        max_evaluations: the most gradients for a row, which is then left as it is.
        max_nodes: the most nodes held at once; a single row that needs more gets more.
    """

    def __init__(
        self, paths: Paths, tolerance: NDArray[np.float64], nodes: int, max_evaluations: int, max_nodes: int
    ) -> None:
        self._paths = paths
        self._tolerance = tolerance
        self._inner_nodes = min(nodes, (max_evaluations - 1) // paths.fan)
        self._max_evaluations = max_evaluations
        self._max_nodes = max_nodes

    def compute(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The integrals [N, G] and the gradients that each row took [N], without the gradients shared by all rows."""
        paths = self._paths
        integrals = np.empty((paths.rows, paths.players))
        evaluations = np.full(paths.rows, 1 + paths.fan * self._inner_nodes, dtype=np.int32)
        waiting, rows = np.arange(paths.rows), np.arange(0)
        nodes = self._first_nodes(rows)
        while len(waiting) or len(rows):
            # Half the room is left for the nodes that refinement adds.
            fitting = self._room(nodes, 0.5) // (paths.fan * (self._inner_nodes + 2))
            taken_up, waiting = np.split(waiting, [fitting if len(rows) else max(1, fitting)])
            rows, nodes = np.concatenate([rows, taken_up]), nodes.join(self._first_nodes(taken_up))
            intervals = _Intervals(nodes, paths)
            finished = ~intervals.beyond(self._tolerance[rows]) | (evaluations[rows] >= self._max_evaluations)
            integrals[rows[finished]] = intervals.integrals()[finished]
            budgets = np.where(finished, 0, self._max_evaluations - evaluations[rows])
            halved = intervals.worst(budgets, self._room(nodes, 1.0))
            path, middle = nodes.path[:-1][halved], intervals.middle()[halved]
            evaluations += np.bincount(paths.row(path), minlength=paths.rows).astype(np.int32)
            rows = rows[~finished]
            nodes = nodes.take(np.isin(paths.row(nodes.path), rows)).join(self._evaluate(path, middle))
        return integrals, evaluations

    def _room(self, nodes: Nodes, share: float) -> int:
        """The number of nodes that may be added before their number exceeds this share of the limit."""
        return max(0, int(share * self._max_nodes) - len(nodes.path))

    def _first_nodes(self, rows: NDArray[np.int64]) -> Nodes:
        paths, count = self._paths, self._inner_nodes
        path = (rows[:, None] * paths.fan + np.arange(paths.fan)).reshape(-1)
        shift = (0.5 + GOLDEN_RATIO * (path % paths.fan)) % 1
        inner = (np.arange(count) + shift[:, None]) / count
        starts = self._nodes(path, np.zeros(len(path)), *paths.starts(path))
        ends = self._nodes(path, np.ones(len(path)), *paths.ends(path))
        return starts.join(ends).join(self._evaluate(path.repeat(count), inner.reshape(-1)))

    def _evaluate(self, path: NDArray[np.int64], position: NDArray[np.float64]) -> Nodes:
        return self._nodes(path, position, *self._paths.evaluate(path, position))

    def _nodes(
        self,
        path: NDArray[np.int64],
        position: NDArray[np.float64],
        gradients: NDArray[np.float32],
        scores: NDArray[np.float64],
    ) -> Nodes:
        weights = self._paths.weights(path)
        return Nodes(path, position, self._paths.shares(path, gradients), scores * weights)


class _Intervals:
    """Intervals between neighbouring nodes of M rows; where two paths meet, an interval without length."""

    def __init__(self, nodes: Nodes, paths: Paths) -> None:
        self._nodes = nodes
        row = paths.row(nodes.path)
        self._starts = np.flatnonzero(np.diff(row, prepend=-1))  # the first interval of each row
        same = nodes.path[1:] == nodes.path[:-1]
        self._length = np.where(same, np.diff(nodes.position), 0.0)
        length = self._length.astype(np.float32)[:, None]
        self._shares = length * 0.5 * (nodes.shares[1:] + nodes.shares[:-1])
        self._changes = length * (nodes.shares[1:] - nodes.shares[:-1])
        change_of_score = np.where(same, np.diff(nodes.score), 0.0)
        self._missing = self._shares.sum(axis=1, dtype=np.float64) - change_of_score

    def middle(self) -> NDArray[np.float64]:
        """The positions [K - 1] of the intervals' middles."""
        return self._nodes.position[:-1] + 0.5 * self._length

    def integrals(self) -> NDArray[np.float64]:
        """The integrals of the rows, [M, G]."""
        return self._by_row(self._shares)

    def beyond(self, tolerance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether a row's completeness error or estimated player error exceeds the tolerance, [M]; False for NaN."""
        incomplete = np.abs(self._by_row(self._missing))
        uneven = np.sqrt(JUMP_VARIANCE * self._by_row(self._changes**2).max(axis=1))
        found: NDArray[np.bool_] = (incomplete > tolerance) | (uneven > tolerance)
        return found

    def worst(self, budgets: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
        """The intervals [K - 1] with the largest errors of each row, at most so many of a row as its budget [M].

        At most `limit` intervals are chosen: the last rows wait. The first row is always served.
        """
        rows = budgets > 0
        errors = np.maximum(np.abs(self._missing), 0.5 * np.sqrt((self._changes**2).sum(axis=1)))
        wanted = np.minimum(np.ceil(HALVED * self._by_row(self._length > 0)).astype(np.int64), budgets)
        total = np.cumsum(wanted)
        wanted[(total > limit) & (total > wanted[rows.argmax()])] = 0
        counts = np.diff(self._starts, append=len(errors))
        row = np.arange(len(counts)).repeat(counts)
        rank = np.empty(len(errors), dtype=np.int64)
        rank[np.lexsort((-errors, row))] = np.arange(len(errors)) - self._starts.repeat(counts)
        chosen: NDArray[np.bool_] = (rank < wanted[row]) & (errors > 0)
        return chosen

    def _by_row(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.add.reduceat(values, self._starts, axis=0, dtype=np.float64)
