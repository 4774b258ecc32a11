"""The largest values of each row by magnitude."""

import numpy as np
from numpy.typing import NDArray


def strongest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Where the `count` values of the largest magnitude stand in each row [N, F], largest first, [N, count].

    Of equal magnitudes the one that stands first comes first; NaN comes last. `count` is from 1 to F.
    """
    magnitudes = np.abs(values)
    magnitudes[np.isnan(magnitudes)] = -1
    threshold = -np.partition(-magnitudes, count - 1, axis=1)[:, count - 1 : count]
    above, equal = magnitudes > threshold, magnitudes == threshold
    # A partition takes any of several equal values: here the first ones fill what those above leave.
    room = count - above.sum(axis=1, keepdims=True)
    chosen = np.nonzero(above | (equal & (equal.cumsum(axis=1) <= room)))[1].reshape(-1, count)
    order = np.argsort(-np.take_along_axis(magnitudes, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)
