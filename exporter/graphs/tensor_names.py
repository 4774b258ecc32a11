"""The names of a bundle's tensors other than the user's inputs; read before PyTorch or ONNX are needed."""

from whyport.runtime.bundle.graphs import (
    ATTRIBUTION,
    BASE_VALUE,
    COMPLETENESS_ERROR,
    EXPLAINED_TARGET,
    GRADIENT,
    SCORE,
    TARGET_INDEX,
)
from whyport.runtime.task import TASKS

INPUT = "features"
"""The flat rows, wherever they are one tensor."""

ATTENTION = "attention"

TAKEN = {
    *(name for task in TASKS.values() for name in task.outputs),
    *(spec.name for spec in (TARGET_INDEX, EXPLAINED_TARGET, SCORE, BASE_VALUE, COMPLETENESS_ERROR)),
    *(INPUT, ATTENTION, ATTRIBUTION, GRADIENT),
}
"""All of these names."""
