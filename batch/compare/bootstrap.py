"""The standard error of means by the Poisson bootstrap, whose weights depend on a row's place alone."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.scoring.selection import INCREMENT, mixed

REPLICATES = 200
"""Replicates; with so many, a standard error is itself off by about 5 %."""
ROWS = 1 << 16
"""The most rows of a run that are drawn again and again."""
DRAWN_VALUES = 1 << 24
"""The most values of these rows, over all explanations."""
FEWEST_ROWS = 1000
BLOCK = 1 << 12
"""Rows whose weights are in memory together."""
NORMAL = 1.959963984540054
"""The normal deviate of a 95 % interval."""

_FIELDS = 4
"""The 16-bit numbers in one hash."""


def _poisson_of_bits() -> NDArray[np.float64]:
    """The Poisson count with mean 1 of each 16-bit number."""
    chances = np.exp(-1.0) / np.cumprod(np.concatenate([[1.0], np.arange(1.0, 12.0)]))
    found: NDArray[np.float64] = np.searchsorted(np.cumsum(chances), (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(
        float
    )
    return found


POISSON = _poisson_of_bits()


def rows_drawn(values: int) -> int:
    """The number of rows that are drawn from a run whose explanations have so many values a row."""
    return int(max(min(ROWS, DRAWN_VALUES // max(values, 1)), FEWEST_ROWS))


def replicate_weights(keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of rows in each replicate, [REPLICATES, N]: independent, and Poisson with mean 1.

    Args:
        keys: [N], a number in [0, 1) for each row.
    """
    own = (keys * 2.0**53).astype(np.uint64)
    streams = (np.arange(REPLICATES // _FIELDS, dtype=np.uint64) + np.uint64(1)) * INCREMENT
    bits = mixed(own + streams[:, None])
    fields = [(bits >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(_FIELDS)]
    drawn: NDArray[np.float64] = POISSON[np.concatenate(fields)]
    return drawn


def standard_errors(
    keys: NDArray[np.float64], values: NDArray[np.floating], rows: float, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The standard errors of the means of F variables, [F]; NaN of fewer than two rows.

    The spread of the replicates' means (Efron & Tibshirani 1993, An Introduction to the Bootstrap; with Poisson weights
    Hanley & MacGibbon 2006). Where the values are those of n rows drawn from `rows`, it is √(n / rows) times that.

    Args:
        keys: [n], a number in [0, 1) for each row, which its weights follow from.
        values: [n, F].
        rows: the number of rows that the means are taken over.
        weights: [n], the rows' own weights; None for equal ones.
    """
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    sums, totals = np.zeros((REPLICATES, values.shape[1])), np.zeros((REPLICATES, 1))
    for start in range(0, len(values), BLOCK):
        some = slice(start, start + BLOCK)
        drawn = replicate_weights(keys[some]) * (1.0 if weights is None else weights[some])
        sums += drawn @ values[some].astype(np.float64)
        totals += drawn.sum(axis=1, keepdims=True)
    # Of very few rows, a replicate may have none.
    means = np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0)
    spread: NDArray[np.float64] = np.nanstd(means, axis=0, ddof=1) * np.sqrt(min(len(values) / max(rows, 1), 1.0))
    return spread
