"""The trapezoidal rule's intervals: which rows they serve, and which of them to halve."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.integrals.nodes import Nodes
from whyport.batch.methods.integrals.path import Paths

# The share of the intervals that is halved at a time, in a row that misses its tolerance. A smaller share chooses
# intervals better, and takes more rounds. None is halved whose error is less than the second share of what each may be
# off.
HALVED = 0.25
NEGLIGIBLE = 0.5

# Suppose a gradient changes by d within an interval of length h, all at once, at an unknown position. The trapezoidal
# rule's error is then uniform between -d/2 and d/2 times h, with this variance. For smooth changes it overestimates the
# error.
JUMP_VARIANCE = 1 / 12

# In an interval of this length, the score jumps where more is missing than the gradients at its ends come to. Halving
# it again would find the same.
SHORT = 2.0**-14


class Intervals:
    """Intervals between neighbouring nodes of M rows; where two paths meet, an interval without length.

    What is missing where a score jumps, as that of an embedded code does, is in no gradient. It counts neither when a
    row is judged nor when intervals are chosen.
    """

    def __init__(self, nodes: Nodes, paths: Paths) -> None:
        self._nodes = nodes
        row = paths.row(nodes.path)
        self._starts = np.flatnonzero(np.diff(row, prepend=-1))  # the first interval of each row
        same = nodes.path[1:] == nodes.path[:-1]
        self._length = np.where(same, np.diff(nodes.position), 0.0)
        length = self._length.astype(np.float32)[:, None]
        self._shares = length * 0.5 * (nodes.shares[1:] + nodes.shares[:-1])
        changes = length * (nodes.shares[1:] - nodes.shares[:-1])
        change_of_score = np.where(same, np.diff(nodes.score), 0.0)
        missing = self._shares.sum(axis=1, dtype=np.float64) - change_of_score
        slope = np.abs(nodes.shares.sum(axis=1, dtype=np.float64))
        jumps = (self._length <= SHORT) & (np.abs(missing) > self._length * (slope[1:] + slope[:-1]))
        self._missing = np.where(jumps, 0.0, missing)
        self._change = 0.5 * np.sqrt((changes**2).sum(axis=1))
        self._incomplete = np.abs(self._by_row(self._missing))
        self._uneven = np.sqrt(JUMP_VARIANCE * self._by_row(changes**2).max(axis=1))

    def integrals(self) -> NDArray[np.float64]:
        """The integrals of the rows, [M, G]."""
        return self._by_row(self._shares)

    def beyond(self, tolerance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether a row's completeness error or estimated player error exceeds the tolerance, [M]; False for NaN."""
        found: NDArray[np.bool_] = (self._incomplete > tolerance) | (self._uneven > tolerance)
        return found

    def wanted(self) -> NDArray[np.int64]:
        """The number of intervals of each row to halve at a time, [M]."""
        return np.ceil(HALVED * self._by_row(self._length > 0)).astype(np.int64)

    def middles(
        self, wanted: NDArray[np.int64], tolerance: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The paths and middles of the intervals with the largest errors of each row, at most as many as wanted [M].

        An error is of what the row misses its tolerance [M] by: of its sum, of single players, or of both.
        """
        counts = np.diff(self._starts, append=len(self._missing))
        row = np.arange(len(counts)).repeat(counts)
        missing = np.where((self._incomplete > tolerance)[row], np.abs(self._missing), 0.0)
        errors = np.maximum(missing, np.where((self._uneven > tolerance)[row], self._change, 0.0))
        rank = np.empty(len(errors), dtype=np.int64)
        rank[np.lexsort((-errors, row))] = np.arange(len(errors)) - self._starts.repeat(counts)
        chosen = (rank < wanted[row]) & (errors > NEGLIGIBLE * (tolerance / counts)[row])
        middle = self._nodes.position[:-1] + 0.5 * self._length
        return self._nodes.path[:-1][chosen], middle[chosen]

    def _by_row(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.add.reduceat(values, self._starts, axis=0, dtype=np.float64)
