"""The Wasserstein distance of two distributions, and what is unsure where it is that of rows drawn from them."""

import numpy as np
from numpy.typing import NDArray


def wasserstein(
    one: NDArray[np.float32], two: NDArray[np.float32], weights: NDArray[np.float64] | None = None
) -> float:
    """The area between the distribution functions of finite ascending values [N] and [M]; NaN where a side has none.

    Vallender 1974, Theory of Probability and its Applications 18(4).

    Args:
        one: the values of one side.
        two: those of the other.
        weights: [N], the weights of the first side's; None for equal ones.
    """
    if not len(one) or not len(two):
        return float("nan")
    ascending = np.sort(np.concatenate([one, two]))
    shares = np.cumsum(np.full(len(one), 1.0) if weights is None else weights)
    below = np.concatenate([[0.0], shares / shares[-1]])[np.searchsorted(one, ascending[:-1], side="right")]
    others = np.searchsorted(two, ascending[:-1], side="right") / len(two)
    return float(np.abs(below - others) @ np.diff(ascending.astype(np.float64)))


def sampling_error(values: NDArray[np.float32], rows: float) -> float:
    """The most that the mean distance of n drawn values from all `rows` of them can be: ∫ √(F(1 - F) / n).

    Bobkov & Ledoux 2019, One-dimensional empirical measures, theorem 3.2; drawing without replacement takes √(1 - n /
    rows) of it. It is 0 where all are drawn.

    Args:
        values: the drawn values [n], finite and ascending.
        rows: how many there are in all.
    """
    count = len(values)
    if not count or count >= rows:
        return 0.0
    share = np.arange(1, count) / count
    spread = np.sqrt(share * (1 - share)) @ np.diff(values.astype(np.float64))
    return float(spread / np.sqrt(count) * np.sqrt(1 - count / rows))
