"""The bins of a feature's values, as the sidecar records them: bin i holds edge[i-1] <= value < edge[i]."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest normal float32: some machines take smaller ones for 0."""
FEW = 10
"""A column with as many distinct values has a bin for each."""


def as_float32(values: NDArray[Any] | Sequence[float]) -> NDArray[np.float64]:
    """The values as the graphs take them: rounded to float32; infinite beyond its range, and -0 as 0."""
    with np.errstate(over="ignore"):
        rounded: NDArray[np.float64] = np.asarray(values).astype(np.float32).astype(np.float64) + 0.0
    return rounded


def bin_places(edges: NDArray[np.float64], values: NDArray[Any]) -> NDArray[np.intp]:
    """The bin of each value that is not NaN, [N]; edges [B - 1] and values are compared as float32."""
    places: NDArray[np.intp] = np.searchsorted(as_float32(edges), as_float32(values), side="right")
    return places


def just_above(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The next larger float32 of each: an edge there ends the bin that holds the value alone."""
    above = np.nextafter(values.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    return np.where(np.abs(above) < SMALLEST, SMALLEST, above)


def bin_edges(present: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inner edges of the bins that a column's values [N] are counted in, ascending, distinct as float32.

    - Up to `FEW` distinct values: an edge at each.
    - Otherwise the deciles. A value of a tenth of the rows or more has a bin of its own: an edge at the value, one just
      above it, and one at the value after it. With deciles alone, what follows it could be in its bin.
    """
    ascending = np.sort(present)
    _, first, counts = np.unique(as_float32(ascending), return_index=True, return_counts=True)
    values = ascending[first]
    if len(values) <= FEW:
        return values
    frequent = np.flatnonzero(counts >= len(present) / 10)
    followed = frequent[frequent < len(values) - 1]
    edges = np.sort(
        np.concatenate(
            [
                np.quantile(ascending, np.arange(1, 10) / 10),
                values[frequent],
                just_above(values[followed]),
                values[followed + 1],
            ]
        )
    )
    _, first = np.unique(as_float32(edges), return_index=True)
    return edges[first]
