"""What the graphs explain.onnx and gradient.onnx take beside the features, and what they give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.attribution import Attribution
from runtime.bundle import EXPLAIN_MODEL, GRADIENT_MODEL, Capability, Tolerances
from runtime.errors import UsageError, unknown
from runtime.signature import Signature, TensorSpec

CLASS_INDEX = TensorSpec("class_index", "int64", ("N",))
"""Which class of each row; below 0, the predicted one."""

EXPLAINED_CLASS = TensorSpec("explained_class", "int64", ("N",))
SCORE = TensorSpec("score", "float32", ("N",))
BASE_VALUE = TensorSpec("base_value", "float32", ("N",))
COMPLETENESS_ERROR = TensorSpec("completeness_error", "float32", ("N",))

TOLERANCE_OF = {
    "explained_class": "exact",
    "attribution": "attributions",
    "completeness_error": "completeness",
    "gradient": "gradients",
}
"""How outputs are compared: by which of the sidecar's tolerances; any other by `outputs`."""


def tolerance_of(output: str, tolerances: Tolerances) -> float:
    """How far an output may be off, see `TOLERANCE_OF`."""
    kind = TOLERANCE_OF.get(output, "outputs")
    tolerance: float = 0.0 if kind == "exact" else getattr(tolerances, kind)
    return tolerance


NOT_THERE = Capability(available=False, reason="it was made without")
"""Of a capability that a bundle does not name."""

# Values of one call on the CPU: calls of few rows stay in the cache, though each row meets every reference.
CALL_VALUES = 2048
CALL_ROWS = 64


def explain_outputs(signature: Signature) -> tuple[TensorSpec, ...]:
    """The outputs of explain.onnx, in order."""
    return (*_scores(signature), BASE_VALUE, _of_features("attribution", signature), COMPLETENESS_ERROR)


def gradient_outputs(signature: Signature) -> tuple[TensorSpec, ...]:
    """The outputs of gradient.onnx, in order."""
    return (*_scores(signature), _of_features("gradient", signature))


@dataclass(frozen=True)
class Explaining:
    """A graph that gives reasons."""

    capability: str
    """What the sidecar calls it."""
    outputs: Callable[[Signature], tuple[TensorSpec, ...]]


GRAPHS = {
    EXPLAIN_MODEL: Explaining("explain-onnx", explain_outputs),
    GRADIENT_MODEL: Explaining("gradient-onnx", gradient_outputs),
}


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


def rows_a_call(signature: Signature) -> dict[str, int]:
    """How many rows a call of either graph takes, by device."""
    on_cpu = max(1, min(CALL_ROWS, CALL_VALUES // len(signature.features.columns)))
    return {"cpu": on_cpu, "cuda": 16 * on_cpu}


def _scores(signature: Signature) -> tuple[TensorSpec, ...]:
    return signature.output("logits"), signature.output("probabilities"), EXPLAINED_CLASS, SCORE


def _of_features(name: str, signature: Signature) -> TensorSpec:
    return TensorSpec(name, "float32", ("N", len(signature.features.columns)))
