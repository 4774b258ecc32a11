"""Thresholds as float32 that part float32 numbers as thresholds in float64 do."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST = np.float32(-np.inf)


def round_down(thresholds: Any) -> NDArray[np.float32]:
    """The largest float32 that is at most each threshold: `x <= t` is the same of both for every float32 x.

    Rounding to the nearest sends every x between t and the rounded threshold to the wrong side.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
        return np.where(nearest > exact, np.nextafter(nearest, LOWEST), nearest)


def round_below(thresholds: Any) -> NDArray[np.float32]:
    """The largest float32 below each threshold: `x < t` is `x <= round_below(t)` for every float32 x."""
    exact = np.asarray(thresholds, dtype=np.float64)
    at_most = round_down(exact)
    with np.errstate(over="ignore"):
        return np.where(at_most == exact, np.nextafter(at_most, LOWEST), at_most)
