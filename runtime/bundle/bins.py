"""The bins of a feature's values, as the sidecar records them: bin i holds edge[i-1] <= value < edge[i]."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest normal float32: some machines take smaller ones for 0."""


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
