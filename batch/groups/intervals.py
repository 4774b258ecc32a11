"""Intervals of 95 % for rates and means."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The quantile of the standard normal distribution at (1 + CONFIDENCE) / 2."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; None where there is nothing to compute it from."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def record(self) -> dict[str, float | None]:
        """The figure and both ends by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


NONE = Estimate(None)


def rate(hits: Any, rows: Any) -> Estimate:
    """A share of rows with Wilson's score interval (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    hits, rows = float(hits), float(rows)
    if rows <= 0:
        return NONE
    share = hits / rows
    middle = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * np.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    # Exact at the ends, where rounding would leave a last bit.
    low = 0.0 if hits == 0 else float(max(middle - half, 0.0))
    high = 1.0 if hits == rows else float(min(middle + half, 1.0))
    return Estimate(share, low, high)


def mean(rows: Any, average: Any, squares: Any) -> Estimate:
    """A mean with the normal interval: ± Z standard errors, where there are two rows or more.

    Args:
        rows: the number of values.
        average: their mean.
        squares: the sum of their squared distances from it.
    """
    rows, average = int(rows), float(average)
    if rows == 0:
        return NONE
    if rows == 1:
        return Estimate(average)
    half = Z * float(np.sqrt(max(float(squares), 0.0) / (rows - 1) / rows))
    return Estimate(average, average - half, average + half)


class GroupMoments:
    """Counts, means and squared distances of numbers [N, F] by group, which come in batches.

    Sums are of distances from the first batch's means: of the numbers themselves, rounding would eat the spread.

    Args:
        groups: the most groups.
        width: F.
    """

    def __init__(self, groups: int, width: int) -> None:
        self.rows = np.zeros(groups, dtype=np.int64)
        """[groups]: the number of rows."""
        self._sums = np.zeros((groups, width))
        self._squares = np.zeros((groups, width))
        self._shift: NDArray[np.float64] | None = None

    def add(self, groups: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Count finite values [N, F] of rows in groups [N]."""
        if not len(values):
            return
        if self._shift is None:
            self._shift = values.mean(axis=0)
        order = np.argsort(groups, kind="stable")
        own, starts = np.unique(groups[order], return_index=True)
        apart = values[order] - self._shift
        self.rows += np.bincount(groups, minlength=len(self.rows))
        self._sums[own] += np.add.reduceat(apart, starts, axis=0)
        self._squares[own] += np.add.reduceat(apart**2, starts, axis=0)

    def of(self, group: int, place: int = 0) -> Estimate:
        """The mean of one of the F numbers in a group."""
        rows = int(self.rows[group])
        if not rows or self._shift is None:
            return NONE
        total = self._sums[group, place]
        squares = self._squares[group, place] - total**2 / rows
        return mean(rows, self._shift[place] + total / rows, squares)
