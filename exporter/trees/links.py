"""The links from the sums of trees to a model's outputs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NONE, SIGMOID, SOFTMAX = "none", "sigmoid", "softmax"
"""No link: the sums are the outputs; of each sum; over the sums of a row."""


def apply_link(link: str, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The outputs [N, K] in float64 of scores [N, K]."""
    wide = scores.astype(np.float64)
    if link == NONE:
        return wide
    if link == SIGMOID:
        made: NDArray[np.float64] = np.exp(-np.logaddexp(0, -wide))
        return made
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
