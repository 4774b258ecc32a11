"""What an explainer gives for a batch of rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Attribution:
    """The reasons for one output of each of N rows, over F features.

    `values` sum to `output - base_value`, up to `error`. Where a method makes no such claim, `base_value` and `error`
    are NaN and `converged` is None.
    """

    values: NDArray[np.float32]
    """[N, F], in logits."""
    output: NDArray[np.float64]
    """The explained score, [N], in logits."""
    base_value: NDArray[np.float64]
    """What the score is measured against, [N], in logits."""
    target: NDArray[np.int64]
    """The explained class, [N]."""
    error: NDArray[np.float64]
    """|sum of values - (output - base_value)|, [N], in logits."""
    evaluations: NDArray[np.int32]
    """Gradients, or forward passes, that the row took, [N]."""
    converged: NDArray[np.bool_] | None
    """Whether the error is within the method's tolerance, [N]."""
    beside: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """What the method gives besides, [N, ...] by name: an error bar on every value, say."""
