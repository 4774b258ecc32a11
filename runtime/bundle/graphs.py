"""The inputs that explain.onnx and gradient.onnx take beside the features, and their outputs."""

from collections.abc import Callable
from dataclasses import dataclass

from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Capability, Tolerances
from whyport.runtime.bundle.signature import Signature, TensorSpec
from whyport.runtime.task import Task

CLASS_INDEX = TensorSpec("class_index", "int64", ("N",))
"""The class to explain for each row; below 0, the predicted one."""

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
"""The sidecar's tolerance for each output; every other output has `outputs`."""


def tolerance_of(output: str, tolerances: Tolerances) -> float:
    """The tolerance for an output, see `TOLERANCE_OF`."""
    kind = TOLERANCE_OF.get(output, "outputs")
    tolerance: float = 0.0 if kind == "exact" else getattr(tolerances, kind)
    return tolerance


NOT_THERE = Capability(available=False, reason="it was made without")
"""The capability of a bundle that does not name it."""


def explain_outputs(signature: Signature, task: Task) -> tuple[TensorSpec, ...]:
    """The outputs of explain.onnx, in order."""
    return (*_scores(signature, task), BASE_VALUE, _of_features("attribution", signature), COMPLETENESS_ERROR)


def gradient_outputs(signature: Signature, task: Task) -> tuple[TensorSpec, ...]:
    """The outputs of gradient.onnx, in order."""
    return (*_scores(signature, task), _of_features("gradient", signature))


@dataclass(frozen=True)
class ReasonsGraph:
    """A graph that explains."""

    capability: str
    """The sidecar's name for the capability."""
    outputs: Callable[[Signature, Task], tuple[TensorSpec, ...]]


GRAPHS = {
    EXPLAIN_MODEL: ReasonsGraph("explain-onnx", explain_outputs),
    GRADIENT_MODEL: ReasonsGraph("gradient-onnx", gradient_outputs),
}


def _scores(signature: Signature, task: Task) -> tuple[TensorSpec, ...]:
    return (*(signature.output(name) for name in task.outputs), EXPLAINED_CLASS, SCORE)


def _of_features(name: str, signature: Signature) -> TensorSpec:
    return TensorSpec(name, "float32", ("N", len(signature.features.columns)))
