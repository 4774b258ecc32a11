"""What the graphs explain.onnx and gradient.onnx take beside the features, and what they give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.graphs import BASE_VALUE, EXPLAINED_CLASS, SCORE
from whyport.runtime.errors import UsageError, unknown


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
    feature_names: tuple[str, ...] = ()
    """The names of the F columns of `values`."""
    target_names: tuple[str, ...] = ()
    """What each target is called, by its index: `target_names[target[i]]` is the class that row i is explained for."""

    def __repr__(self) -> str:
        rows, features = self.values.shape
        shown = f"Attribution of {rows} rows and {features} features"
        if self.converged is None or not rows:
            return f"<{shown}>"
        return f"<{shown}: largest error {self.error.max():.2g}, {int(self.converged.sum())} rows converged>"


def class_index(classes: Any, names: Sequence[str], rows: int) -> NDArray[np.int64]:
    """The input `class_index` [N]: -1 for None, otherwise a class's name or index for all rows, or [N] of either.

    Raises UsageError where there is no such class, or not one for each row.
    """
    if classes is None:
        return np.full(rows, -1, dtype=np.int64)
    given = np.asarray(classes)
    if given.dtype.kind in "UO":
        place = {name: i for i, name in enumerate(names)}
        for name in given.flat:
            if name not in place:
                raise UsageError(unknown("class", str(name), names))
        given = np.array([place[name] for name in given.flat], dtype=np.int64).reshape(given.shape)
    if given.dtype.kind not in "iu":
        raise UsageError(f"expected classes by name or index, got {given.dtype}")
    if given.shape not in ((), (rows,)):
        raise UsageError(f"expected one class, or one for each of {rows} rows, got shape {list(given.shape)}")
    for index in given[(given < 0) | (given >= len(names))].flat:
        raise UsageError(f"expected a class index from 0 to {len(names) - 1}, got {index}")
    return np.broadcast_to(given, rows).astype(np.int64)


def attribution(outputs: Mapping[str, NDArray[Any]], tolerance: float) -> Attribution:
    """What explain.onnx gave for N rows; a row has converged if its error is within this share of the larger of 1 and
    |score - base value|.
    """
    values = outputs["attribution"]
    score, base_value = (outputs[spec.name].astype(np.float64) for spec in (SCORE, BASE_VALUE))
    difference = score - base_value
    error = np.abs(values.sum(axis=1, dtype=np.float64) - difference)
    return Attribution(
        values=values,
        output=score,
        base_value=base_value,
        target=outputs[EXPLAINED_CLASS.name],
        error=error,
        evaluations=np.ones(len(values), dtype=np.int32),
        converged=error <= tolerance * np.maximum(1, np.abs(difference)),
    )
