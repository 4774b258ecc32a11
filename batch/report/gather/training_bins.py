"""The bins of a feature's training values, as far as a bundle tells what is in them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.bins import as_float32, just_above
from whyport.runtime.bundle.columns import NumberStatistics

HALF = 0.5
"""A bin with more of the training values is too coarse: most of them could move within it."""
TWO_DECILES = 0.2
"""A last bin of deciles with more of the values begins with one that repeats, and hides all that are larger."""


@dataclass(frozen=True)
class TrainingBins:
    """The bins that a run's values of one feature are counted in."""

    edges: NDArray[np.float64]
    """[B - 1], ascending: the recorded edges, and one more after each bin that is known to hold a single value."""
    shares: NDArray[np.float64]
    """[B]: the share of the training values in each bin."""
    are_coarse: bool
    """Whether values can move within a bin, so that a small index says nothing."""

    @classmethod
    def of(cls, feature: NumberStatistics) -> Self:
        """The bins of a column of numbers."""
        edges = as_float32(feature.bin_edges)
        shares = np.array(feature.bin_fractions, dtype=np.float64)
        single = _single(feature, edges, shares)
        crowded = ~single & (shares > HALF)
        crowded[-1] |= not single[-1] and shares[0] <= TWO_DECILES < shares[-1]
        # What no training row had is in no bin of theirs.
        after = just_above(edges[single[1:]])
        split = np.unique(np.concatenate([edges, after]))
        spread = np.zeros(len(split) + 1)
        spread[0] = shares[0]
        np.add.at(spread, np.searchsorted(split, edges) + 1, shares[1:])
        return cls(split, spread, bool(crowded.any()))


def _single(feature: NumberStatistics, edges: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each bin is known to hold one training value, its lower edge, [B]."""
    single = np.zeros(len(shares), dtype=np.bool_)
    if not len(edges):
        return single
    single[1:-1] = edges[1:] == just_above(edges[:-1])
    single[-1] = edges[-1] == as_float32([feature.maximum])[0]
    # No value is below its bin's lower edge. So the mean is that of the edges only if every value is an edge.
    exact = np.array(feature.bin_edges)
    rounding = 1e-9 * (feature.maximum - feature.minimum) + 1e-13 * np.abs(exact).max()
    if shares[0] == 0 and abs(feature.mean - shares[1:] @ exact) <= rounding:
        single[1:] = True
    return single
