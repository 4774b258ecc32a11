"""Integrals of a gradient along straight paths, refined only where a row needs it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.explainers.path import Paths

# Of the difference between Simpson's rule and the trapezoidal rule on the same nodes, about how much is the error of
# Simpson's: on networks with kinks measured as a fifth, on smooth functions it is far less.
SIMPSON_ERROR = 0.2


@dataclass(frozen=True)
class Intervals:
    """Pieces of paths with three nodes each, K in all; what stands at one index belongs together."""

    path: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    gradients: NDArray[np.float32]
    """[K, 3, F], at start, middle and end."""
    scores: NDArray[np.float64]
    """[K, 3]"""

    def take(self, chosen: NDArray[np.bool_]) -> "Intervals":
        """The chosen ones."""
        return Intervals(
            self.path[chosen], self.start[chosen], self.end[chosen], self.gradients[chosen], self.scores[chosen]
        )

    def join(self, other: "Intervals") -> "Intervals":
        """These and the others."""
        return Intervals(
            np.concatenate([self.path, other.path]),
            np.concatenate([self.start, other.start]),
            np.concatenate([self.end, other.end]),
            np.concatenate([self.gradients, other.gradients]),
            np.concatenate([self.scores, other.scores]),
        )


@dataclass(frozen=True)
class Errors:
    """What the intervals contribute to their rows, K in all, weighted by their references."""

    integrals: NDArray[np.float64]
    """[K, F], by Simpson's rule."""
    missing: NDArray[np.float64]
    """[K]: the integrals' sum less the change of the score: the error of the sum, exactly."""
    features: NDArray[np.float64]
    """[K, F]: the estimated error of each integral."""


class AdaptiveIntegral:
    """Simpson's rule, with intervals halved where and only where a row misses its tolerance.

    Completeness holds on every piece of a path: the integral over [a, b], summed over the features, is f(b) - f(a).
    What is missing is the piece's error, known exactly and for free. Since errors of single features can cancel in that
    sum, a row has converged only when in addition no feature's own estimated error exceeds the tolerance; those of
    different references are independent and add up like standard deviations. Halving reuses all three nodes.

    Args:
        paths: what to integrate along; a row's integral is the weighted sum over its references.
        tolerance: of the completeness error and of each feature's estimated error, by row, [N], in logits.
        intervals: of each path at the start.
        max_evaluations: gradients after which a row is left as it is.
    """

    def __init__(self, paths: Paths, tolerance: NDArray[np.float64], intervals: int, max_evaluations: int) -> None:
        self._paths = paths
        self._tolerance = tolerance
        self._intervals = intervals
        self._max_evaluations = max_evaluations

    def compute(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The integrals [N, F] and the gradients that each row took [N], less those shared by all rows."""
        paths = self._paths
        intervals = self._initial()
        evaluations = np.full(paths.rows, 1 + paths.fan * (2 * self._intervals - 1), dtype=np.int32)
        while True:
            errors = self._errors(intervals)
            halved = self._choose(intervals.path, errors, evaluations)
            if not halved.any():
                by_path = _sum(intervals.path, errors.integrals, len(paths))
                return by_path.reshape(paths.rows, paths.fan, -1).sum(axis=1), evaluations
            counts = np.bincount(paths.row[intervals.path[halved]], minlength=paths.rows)
            evaluations += 2 * counts.astype(np.int32)
            intervals = intervals.take(~halved).join(self._halve(intervals.take(halved)))

    def _initial(self) -> Intervals:
        paths, nodes = self._paths, np.linspace(0, 1, 2 * self._intervals + 1)
        inner = nodes[1:-1]
        gradients, scores = paths.evaluate(np.arange(len(paths)).repeat(len(inner)), np.tile(inner, len(paths)))
        (first, first_score), (last, last_score) = paths.starts(), paths.ends()
        gradients = np.concatenate(
            [first[:, None], gradients.reshape(len(paths), len(inner), -1), last[:, None]], axis=1
        )
        scores = np.column_stack([first_score, scores.reshape(len(paths), len(inner)), last_score])
        triples = 2 * np.arange(self._intervals)[:, None] + np.arange(3)
        return Intervals(
            np.arange(len(paths)).repeat(self._intervals),
            np.tile(nodes[:-2:2], len(paths)),
            np.tile(nodes[2::2], len(paths)),
            gradients[:, triples].reshape(-1, 3, gradients.shape[2]),
            scores[:, triples].reshape(-1, 3),
        )

    def _errors(self, intervals: Intervals) -> Errors:
        weights = self._paths.weights[intervals.path]
        scale = (weights * (intervals.end - intervals.start))[:, None] * self._paths.direction[intervals.path]
        first, middle, last = (intervals.gradients[:, node] for node in range(3))
        integrals = scale * (first + 4 * middle + last) / 6
        trapezoids = scale * (first + last) / 2
        missing = integrals.sum(axis=1) - weights * (intervals.scores[:, 2] - intervals.scores[:, 0])
        return Errors(integrals, missing, SIMPSON_ERROR * np.abs(integrals - trapezoids))

    def _choose(self, path: NDArray[np.int64], errors: Errors, evaluations: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which intervals to halve: of the rows that have not converged, those above their share of the error."""
        paths, row = self._paths, self._paths.row[path]
        open_rows = evaluations < self._max_evaluations
        incomplete = open_rows & (np.abs(np.bincount(row, errors.missing, paths.rows)) > self._tolerance)
        by_path = _sum(path, errors.features, len(paths)).reshape(paths.rows, paths.fan, -1)
        worst_feature = np.sqrt((by_path**2).sum(axis=1)).max(axis=1)
        uneven = open_rows & (worst_feature > self._tolerance)
        # Where a row misses its tolerance, at least one of its intervals is above its share: there is always progress.
        share = self._tolerance / np.bincount(row, minlength=paths.rows)
        feature_share = self._tolerance[paths.row] / np.sqrt(paths.fan) / np.bincount(path, minlength=len(paths))
        above_share = np.abs(errors.missing) > share[row]
        feature_above_share = errors.features.max(axis=1) > feature_share[path]
        chosen: NDArray[np.bool_] = (incomplete[row] & above_share) | (uneven[row] & feature_above_share)
        return chosen

    def _halve(self, intervals: Intervals) -> Intervals:
        middle = (intervals.start + intervals.end) / 2
        new_positions = np.stack([(intervals.start + middle) / 2, (middle + intervals.end) / 2], axis=1)
        gradients, scores = self._paths.evaluate(intervals.path.repeat(2), new_positions.reshape(-1))
        gradients, scores = gradients.reshape(len(middle), 2, -1), scores.reshape(len(middle), 2)
        halves = []
        for half, (start, end) in enumerate(((intervals.start, middle), (middle, intervals.end))):
            before, after = intervals.gradients[:, half], intervals.gradients[:, half + 1]
            halves.append(
                Intervals(
                    intervals.path,
                    start,
                    end,
                    np.stack([before, gradients[:, half], after], axis=1),
                    np.stack([intervals.scores[:, half], scores[:, half], intervals.scores[:, half + 1]], axis=1),
                )
            )
        return halves[0].join(halves[1])


def _sum(path: NDArray[np.int64], values: NDArray[np.float64], paths: int) -> NDArray[np.float64]:
    """Sums [P, F] over the intervals of each path."""
    sums = np.zeros((paths, values.shape[1]))
    np.add.at(sums, path, values)
    return sums
