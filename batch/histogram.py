"""Quantiles of errors in bounded memory: counts on a logarithmic scale, which add up over parts and machines."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

BINS_PER_DECADE = 50
"""A quantile is at most 10^(1/50) - 1 = 4.7 % too large, and never too small."""

# Bin i holds EDGES[i - 1] < error <= EDGES[i]; the last one, everything above.
EDGES: NDArray[np.float64] = np.power(10.0, np.arange(-15 * BINS_PER_DECADE, 9 * BINS_PER_DECADE + 1) / BINS_PER_DECADE)


@dataclass(frozen=True)
class ErrorHistogram:
    """How many errors lie in each bin."""

    counts: dict[str, int] = field(default_factory=dict)
    """By the bin's number, as text; bins without errors are absent."""
    worst: float = 0.0
    """The largest finite error."""
    not_finite: int = 0
    """NaN and infinity, which count as larger than every other."""

    @classmethod
    def of(cls, errors: NDArray[np.floating[Any]]) -> Self:
        """Count errors of any shape, none negative."""
        finite = errors[np.isfinite(errors)]
        bins, counts = np.unique(np.searchsorted(EDGES, finite), return_counts=True)
        return cls(
            counts={str(i): int(n) for i, n in zip(bins, counts, strict=True)},
            worst=float(finite.max(initial=0.0)),
            not_finite=int(errors.size - finite.size),
        )

    def __add__(self, other: Self) -> Self:
        bins = sorted(self.counts.keys() | other.counts.keys(), key=int)
        return type(self)(
            counts={i: self.counts.get(i, 0) + other.counts.get(i, 0) for i in bins},
            worst=max(self.worst, other.worst),
            not_finite=self.not_finite + other.not_finite,
        )

    @property
    def total(self) -> int:
        """How many errors were counted."""
        return sum(self.counts.values()) + self.not_finite

    def quantile(self, share: float) -> float:
        """The least bound below which at least `share` of the errors lie, up to the width of a bin; 0 without any."""
        needed = share * self.total
        seen = 0
        for i in sorted(self.counts, key=int):
            seen += self.counts[i]
            if seen >= needed:
                return min(float(EDGES[int(i)]), self.worst) if int(i) < len(EDGES) else self.worst
        return float("inf") if self.not_finite else 0.0
