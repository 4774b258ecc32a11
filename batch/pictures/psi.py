"""The population stability index: how far one distribution over bins has moved from another.

PSI = Σ (a_i - e_i) ln(a_i / e_i), of the shares e_i expected and a_i found in each bin: Siddiqi 2006, Credit Risk
Scorecards, chapter 8; the sum of both Kullback-Leibler divergences (Jeffreys 1946). By custom, below 0.1 is stable, and
above 0.25 has moved.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STABLE = 0.1
MOVED = 0.25

LEAST_SHARE = 1e-4
"""An empty bin counts as this share, or its logarithm would be infinite."""


def psi(expected: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """The index of shares or counts by bin, [..., B] each, over the last axis; NaN where either has nothing at all."""
    with np.errstate(invalid="ignore"):
        e, a = (v / v.sum(axis=-1, keepdims=True) for v in (np.asarray(expected, float), np.asarray(found, float)))
    e, a = np.where(e < LEAST_SHARE, LEAST_SHARE, e), np.where(a < LEAST_SHARE, LEAST_SHARE, a)
    index: NDArray[np.float64] = ((a - e) * np.log(a / e)).sum(axis=-1)
    return index


def by_chance(bins: int, expected: float, found: float) -> float:
    """What the index comes to in the mean where nothing moved: (B - 1)(1/N + 1/M) for samples of N and M rows.

    Yurdakul & Naranjo 2020, Journal of Risk Model Validation 14(4): it is then distributed as (1/N + 1/M) times χ² with
    B - 1 degrees of freedom.
    """
    return (bins - 1) * (1 / expected + 1 / found)
