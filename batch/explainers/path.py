"""Integrals of a gradient along straight paths, refined only where a path needs it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.explainers.torchscript import TorchScriptModel

INITIAL_INTERVALS = 8
# Of the difference between Simpson's rule and the trapezoidal rule on the same nodes, about how much is the error of
# Simpson's: on networks with kinks measured as a fifth, on smooth functions it is far less.
SIMPSON_ERROR = 0.2


class Paths:
    """Straight paths from one reference to each of N rows.

    Args:
        model: gives the gradients.
        reference: [F]
        rows: [N, F]
        targets: the class whose logit is followed, [N].
    """

    def __init__(
        self,
        model: TorchScriptModel,
        reference: NDArray[np.float32],
        rows: NDArray[np.float32],
        targets: NDArray[np.int64],
    ) -> None:
        self.model = model
        self.reference = reference
        self.targets = targets
        self.direction = rows - reference
        """[N, F]"""
        ends = model.scores(rows, targets)
        starts = model.logits(reference[None])[0, targets]
        self.difference: NDArray[np.float64] = ends - starts
        """[N]: how far the score moves along each path."""

    def __len__(self) -> int:
        return len(self.targets)

    def evaluate(
        self, paths: NDArray[np.int64], positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Gradients [K, F] and scores [K] at positions in [0, 1] of the paths with these numbers, [K] each."""
        points = self.reference + positions[:, None].astype(np.float32) * self.direction[paths]
        return self.model.gradients(points, self.targets[paths])


@dataclass
class Intervals:
    """Pieces of paths with three nodes each, K in all; rows of every array belong together."""

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


class AdaptivePaths:
    """Simpson's rule, with intervals halved where and only where a path misses its tolerance.

    Completeness holds on every piece of a path: the integral over [a, b], summed over the features, is f(b) - f(a).
    What is missing is the piece's error, known exactly and for free. Since errors of single features can cancel in that
    sum, a path has converged only when in addition no feature's own estimated error exceeds the tolerance. Halving
    reuses all three nodes.

    Args:
        paths: what to integrate along.
        tolerance: of the completeness error and of each feature's estimated error, [N], in logits.
        max_evaluations: gradients after which a path is left as it is.
    """

    def __init__(self, paths: Paths, tolerance: NDArray[np.float64], max_evaluations: int) -> None:
        self._paths = paths
        self._tolerance = tolerance
        self._max_evaluations = max_evaluations

    def integrate(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The integrals [N, F] and the gradients each took [N]."""
        intervals = self._initial()
        evaluations = np.full(len(self._paths), 2 * INITIAL_INTERVALS + 1, dtype=np.int32)
        while True:
            integrals, missing, feature_errors = self._errors(intervals)
            halved = self._choose(intervals.path, missing, feature_errors, evaluations)
            if not halved.any():
                return self._sum(intervals.path, integrals), evaluations
            evaluations += 2 * np.bincount(intervals.path[halved], minlength=len(evaluations)).astype(np.int32)
            intervals = intervals.take(~halved).join(self._halve(intervals.take(halved)))

    def _initial(self) -> Intervals:
        paths = np.arange(len(self._paths))
        nodes = np.linspace(0, 1, 2 * INITIAL_INTERVALS + 1)
        gradients, scores = self._paths.evaluate(paths.repeat(len(nodes)), np.tile(nodes, len(paths)))
        gradients = gradients.reshape(len(paths), len(nodes), -1)
        scores = scores.reshape(len(paths), len(nodes))
        triples = 2 * np.arange(INITIAL_INTERVALS)[:, None] + np.arange(3)
        return Intervals(
            paths.repeat(INITIAL_INTERVALS),
            np.tile(nodes[:-2:2], len(paths)),
            np.tile(nodes[2::2], len(paths)),
            gradients[:, triples].reshape(-1, 3, gradients.shape[2]),
            scores[:, triples].reshape(-1, 3),
        )

    def _errors(self, intervals: Intervals) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """By interval: integrals [K, F], what is missing of their sum [K], and the features' error estimates [K, F]."""
        scale = (intervals.end - intervals.start)[:, None] * self._paths.direction[intervals.path]
        first, middle, last = (intervals.gradients[:, node] for node in range(3))
        integrals = scale * (first + 4 * middle + last) / 6
        trapezoids = scale * (first + last) / 2
        missing = integrals.sum(axis=1) - (intervals.scores[:, 2] - intervals.scores[:, 0])
        return integrals, missing, SIMPSON_ERROR * np.abs(integrals - trapezoids)

    def _choose(
        self,
        path: NDArray[np.int64],
        missing: NDArray[np.float64],
        feature_errors: NDArray[np.float64],
        evaluations: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """Which intervals to halve: of the paths that have not converged, those above their share of the error."""
        completeness_error = np.abs(np.bincount(path, missing, len(evaluations)))
        worst_feature = self._sum(path, feature_errors).max(axis=1)
        unfinished = np.maximum(completeness_error, worst_feature) > self._tolerance
        unfinished &= evaluations < self._max_evaluations
        share = self._tolerance / np.bincount(path, minlength=len(evaluations))
        error = np.maximum(np.abs(missing), feature_errors.max(axis=1))
        chosen: NDArray[np.bool_] = unfinished[path] & (error > share[path])
        return chosen

    def _halve(self, intervals: Intervals) -> Intervals:
        middle = (intervals.start + intervals.end) / 2
        new_positions = np.stack([(intervals.start + middle) / 2, (middle + intervals.end) / 2], axis=1)
        gradients, scores = self._paths.evaluate(intervals.path.repeat(2), new_positions.reshape(-1))
        gradients = gradients.reshape(len(middle), 2, -1)
        scores = scores.reshape(len(middle), 2)
        halves = []
        for half, (start, end) in enumerate(((intervals.start, middle), (middle, intervals.end))):
            old, new = intervals.gradients[:, half : half + 2], gradients[:, half]
            halves.append(
                Intervals(
                    intervals.path,
                    start,
                    end,
                    np.stack([old[:, 0], new, old[:, 1]], axis=1),
                    np.stack([intervals.scores[:, half], scores[:, half], intervals.scores[:, half + 1]], axis=1),
                )
            )
        return halves[0].join(halves[1])

    def _sum(self, path: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums [N, F] over the intervals of each path."""
        sums = np.zeros((len(self._paths), values.shape[1]))
        np.add.at(sums, path, values)
        return sums
