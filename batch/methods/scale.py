"""The size of a score's differences that count, where the score's unit does not say it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.references import References
from whyport.runtime.task import Task


def score_scale(
    task: Task, references: References, scores: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """The scale of each target's score, [K], in its unit: differences far below it do not count.

    It is 1 of logits and probabilities. A quantity may be in kilograms or in micrograms: its scale is the standard
    deviation of its scores over the reference rows, and at least what float32 rounds of them.

    Args:
        task: what the scores are.
        references: the reference rows.
        scores: gives the scores [N, K] of rows [N, F].
    """
    if task.has_own_scale:
        return np.ones(len(task.targets))
    values = scores(references.rows).astype(np.float64)
    spread = np.sqrt(references.weights @ (values - references.weights @ values) ** 2)
    rounding = np.finfo(np.float32).eps * np.abs(values).max(axis=0)
    scale: NDArray[np.float64] = np.maximum(np.maximum(spread, rounding), np.finfo(np.float32).tiny)
    return scale
