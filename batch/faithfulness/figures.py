"""Figures of single explanations, brought together as means with their standard errors."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Figures:
    """Values of one figure, one an explanation."""

    values: list[float] = field(default_factory=list)

    def add(self, values: "NDArray[np.float64] | list[float]") -> None:
        """Add the values of some explanations; those that are not finite are left out."""
        found = np.asarray(values, dtype=np.float64).ravel()
        self.values += found[np.isfinite(found)].tolist()

    @property
    def mean(self) -> float | None:
        """The mean; None without any value."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def error(self) -> float | None:
        """The standard error of the mean over explanations; None of fewer than two."""
        count = len(self.values)
        return float(np.std(self.values, ddof=1) / np.sqrt(count)) if count > 1 else None


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each value in its row [N, G]; equal ones have the mean of their ranks."""
    found = np.empty(values.shape)
    for row, own in zip(found, values, strict=True):
        _, place, counts = np.unique(own, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        row[:] = (ends - (counts - 1) / 2)[place]
    return found


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rank correlation of each pair of rows [N, G], [N]; NaN where all values of one are equal."""
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (ranks(one), ranks(other)))
    sizes = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.where(sizes > 0, (a * b).sum(axis=1) / sizes, np.nan)
    return found


def relative_l1(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of |other - one| over the sum of |one| in each row [N, G], [N]; NaN where that sum is 0."""
    size = np.abs(one).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.where(size > 0, np.abs(other - one).sum(axis=1) / size, np.nan)
    return found


def top_overlap(one: NDArray[np.float64], other: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The share of the `count` largest magnitudes that two rows [N, G] have in common, [N]."""
    count = min(count, one.shape[1])
    first, second = (np.argsort(-np.abs(each), axis=1, kind="stable")[:, :count] for each in (one, other))
    common = [len(np.intersect1d(a, b)) for a, b in zip(first, second, strict=True)]
    return np.array(common, dtype=np.float64) / max(count, 1)
