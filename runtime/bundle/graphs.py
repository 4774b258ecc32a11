"""What the graphs explain.onnx and gradient.onnx take beside the features, and what they give."""

from collections.abc import Callable
from dataclasses import dataclass

from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Capability, Tolerances
from whyport.runtime.bundle.signature import Signature, TensorSpec
from whyport.runtime.task import Task

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


def explain_outputs(signature: Signature, task: Task) -> tuple[TensorSpec, ...]:
    """The outputs of explain.onnx, in order."""
    return (*_scores(signature, task), BASE_VALUE, _of_features("attribution", signature), COMPLETENESS_ERROR)


def gradient_outputs(signature: Signature, task: Task) -> tuple[TensorSpec, ...]:
    """The outputs of gradient.onnx, in order."""
    return (*_scores(signature, task), _of_features("gradient", signature))


@dataclass(frozen=True)
class ReasonsGraph:
    """A graph that gives reasons."""

    capability: str
    """What the sidecar calls it."""
    outputs: Callable[[Signature, Task], tuple[TensorSpec, ...]]


GRAPHS = {
    EXPLAIN_MODEL: ReasonsGraph("explain-onnx", explain_outputs),
    GRADIENT_MODEL: ReasonsGraph("gradient-onnx", gradient_outputs),
}


def _scores(signature: Signature, task: Task) -> tuple[TensorSpec, ...]:
    return (*(signature.output(name) for name in task.outputs), EXPLAINED_CLASS, SCORE)


def _of_features(name: str, signature: Signature) -> TensorSpec:
    return TensorSpec(name, "float32", ("N", len(signature.features.columns)))
