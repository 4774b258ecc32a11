"""Shapley values by enumeration of every coalition: exact, in float64, and affordable for a dozen features."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import factorial

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.batching import batch_slices
from whyport.runtime.providers import available_cores

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# Rows per call of the model: more would leave the cache.
CALL_ROWS = 512


def exact_shapley(
    score: Score, row: NDArray[np.float64], references: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Shapley values [F] of one row in the game v(S) = sum_r weight_r score(row in S, reference r elsewhere).

    Args:
        score: rows [N, F] to scores [N]; called from several threads.
        row: the explained row, [F].
        references: the R references, [R, F].
        weights: weights of the references, [R], with the sum 1.

    Returns:
        sum over S without i of |S|! (F - |S| - 1)! / F! (v(S and i) - v(S)); Shapley 1953.
    """
    features = len(row)
    coalitions = np.arange(1 << features)
    members = (coalitions[:, None] >> np.arange(features)) & 1
    worths = _worths(score, np.where(members[:, None].astype(bool), row, references), weights)
    share = np.array([factorial(s) * factorial(features - s - 1) for s in range(features)]) / factorial(features)
    values = np.empty(features)
    for player in range(features):
        without = coalitions[members[:, player] == 0]
        gains = worths[without | (1 << player)] - worths[without]
        values[player] = share[members[without].sum(axis=1)] @ gains
    return values


def _worths(score: Score, rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted mean score [S] of rows [S, R, F], computed side by side."""
    flat = rows.reshape(-1, rows.shape[2])
    with ThreadPoolExecutor(available_cores()) as pool:
        scores = pool.map(lambda part: score(flat[part]), batch_slices(len(flat), CALL_ROWS))
        worths: NDArray[np.float64] = np.concatenate(list(scores)).reshape(len(rows), -1) @ weights
    return worths
