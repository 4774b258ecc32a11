"""Counts of values in bins, feature by feature, that add up over batches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class BinCounts:
    """Counts the values of F features, each in bins of its own: bin i holds edge[i-1] <= value < edge[i].

    Args:
        edges: the inner edges of each feature's bins, ascending; features may have different numbers of them.
    """

    def __init__(self, edges: Sequence[NDArray[np.float64]]) -> None:
        self._edges = [np.asarray(each, dtype=np.float64) for each in edges]
        self.bins = max((len(each) for each in self._edges), default=0) + 1
        self.counts = np.zeros((len(self._edges), self.bins), dtype=np.int64)
        """[F, B]: of finite values; the last ones are 0 where a feature has fewer bins."""
        self.missing = np.zeros(len(self._edges), dtype=np.int64)
        """[F]: of values that are not finite."""

    def add(self, rows: NDArray[np.floating]) -> None:
        """Count rows [N, F]."""
        for j, edges in enumerate(self._edges):
            column = rows[:, j]
            finite = column[np.isfinite(column)]
            self.missing[j] += len(column) - len(finite)
            self.counts[j] += np.bincount(np.searchsorted(edges, finite, side="right"), minlength=self.bins)


def quantile_edges(rows: NDArray[np.float64], weights: NDArray[np.float64], bins: int) -> list[NDArray[np.float64]]:
    """Inner edges, without repeats, that cut each column of rows [N, F] into bins of about equal weight [N]."""
    edges = []
    for column in rows.T:
        order = np.argsort(column, kind="stable")
        below = np.cumsum(weights[order]) / weights.sum()
        places = np.searchsorted(below, np.arange(1, bins) / bins, side="right")
        edges.append(np.unique(column[order][np.minimum(places, len(column) - 1)]))
    return edges
