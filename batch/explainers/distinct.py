"""Rows that come several times, once for every class that is explained."""

import numpy as np
from numpy.typing import NDArray


def runs(rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first index of every run of equal consecutive rows, and the run of every row.

    Where every class is explained, each row comes once for every class: one pass explains them all.
    """
    starts = np.ones(len(rows), dtype=np.bool_)
    starts[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return np.flatnonzero(starts), np.cumsum(starts) - 1
