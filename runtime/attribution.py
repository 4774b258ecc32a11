"""The attributions of a score, and the one measure of whether they add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.graphs import BASE_VALUE, EXPLAINED_TARGET, SCORE
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.task import Task


@dataclass(frozen=True)
class Attribution:
    """The attributions of one score for each of N rows, over F features.

    `values` sum to `output - base_value`, up to `error`. For a method that makes no such claim, `base_value` and
    `error` are NaN and `converged` is None. An explanation that is not finite has NaN in all its values.
    """

    values: NDArray[np.floating[Any]]
    """[N, F], float32, or float64 for sums; in the method's unit: for those that sum to something, the score's."""
    output: NDArray[np.float64]
    """The explained score, [N]."""
    base_value: NDArray[np.float64]
    """The value that the score is measured against, [N]."""
    target: NDArray[np.int64]
    """The index of the explained target, [N]."""
    error: NDArray[np.float64]
    """|sum of values - (output - base_value)|, [N]."""
    evaluations: NDArray[np.int32]
    """Gradients, or forward passes, that the row took, [N]."""
    converged: NDArray[np.bool_] | None
    """Whether the error is within the method's tolerance, [N]."""
    extras: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    """The method's extra columns, [N, ...] by name, such as an error bar for every value."""
    feature_names: tuple[str, ...] = ()
    """The names of the F columns of `values`."""
    target_names: tuple[str, ...] = ()
    """The name of each target by its index: row i is explained for `target_names[target[i]]`."""

    @property
    def is_finite(self) -> NDArray[np.bool_]:
        """Whether each explanation is finite, [N]; one that is not has not converged."""
        return np.asarray(np.isfinite(self.values).all(axis=1))

    def __repr__(self) -> str:
        rows, features = self.values.shape
        shown = f"Attribution of {rows} rows and {features} features"
        if self.converged is None or not rows:
            return f"<{shown}>"
        finite = self.error[np.isfinite(self.error)]
        shown += f": largest error {finite.max(initial=0.0):.2g}, {int(self.converged.sum())} rows converged"
        return f"<{shown}>" if len(finite) == rows else f"<{shown}, {rows - len(finite)} not finite>"


def completeness_errors(values: NDArray[np.floating[Any]], difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance of attributions [N, F] from adding up to the difference score - base value [N]: [N] float64."""
    errors: NDArray[np.float64] = np.abs(values.sum(axis=1, dtype=np.float64) - difference)
    return errors


def within_rounding(
    tolerance: float, score: NDArray[np.floating[Any]], base_value: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """The error [N] that is allowed if only rounding separates shares from their sum score - base value.

    It is `tolerance` times the largest of 1, |score - base value|, and a hundredth of |score| and of |base value|: a
    float32 of 3000 is itself known to 0.0001 only.
    """
    largest = np.maximum(np.abs(score), np.abs(base_value)) / 100
    allowed: NDArray[np.float64] = tolerance * np.maximum(np.maximum(1, largest), np.abs(score - base_value))
    return allowed


def target_index(targets: Any, task: Task, rows: int) -> NDArray[np.int64]:
    """The input `target_index` [N]: -1 for None, otherwise a target's name or index for all rows, or [N] of either.

    Raises UsageError for an unknown target, or if there is not one target per row.
    """
    if targets is None:
        return np.full(rows, -1, dtype=np.int64)
    names: Sequence[str] = task.targets
    given = np.asarray(targets)
    if given.dtype.kind in "UO":
        place = {name: i for i, name in enumerate(names)}
        for name in given.flat:
            if name not in place:
                raise UsageError(unknown(task.target, str(name), names))
        given = np.array([place[name] for name in given.flat], dtype=np.int64).reshape(given.shape)
    if given.dtype.kind not in "iu":
        raise UsageError(f"expected {task.targets_title} by name or index, got {given.dtype}")
    if given.shape not in ((), (rows,)):
        raise UsageError(f"expected one {task.target}, or one for each of {rows} rows, got shape {list(given.shape)}")
    for index in given[(given < 0) | (given >= len(names))].flat:
        raise UsageError(f"expected a {task.target} index from 0 to {len(names) - 1}, got {index}")
    return np.broadcast_to(given, rows).astype(np.int64)


def attribution(outputs: Mapping[str, NDArray[Any]], tolerance: float) -> Attribution:
    """The attributions that explain.onnx gave for N rows.

    A row has converged if its error is within the tolerance, see `within_rounding`.
    """
    values = outputs["attribution"]
    score, base_value = (outputs[spec.name].astype(np.float64) for spec in (SCORE, BASE_VALUE))
    error = completeness_errors(values, score - base_value)
    return Attribution(
        values=values,
        output=score,
        base_value=base_value,
        target=outputs[EXPLAINED_TARGET.name],
        error=error,
        evaluations=np.ones(len(values), dtype=np.int32),
        converged=error <= within_rounding(tolerance, score, base_value),
    )
