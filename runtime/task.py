"""What a model's outputs mean: which one is explained, what is predicted from it, and in which unit a score is.

One class a task, one line of `TASKS`. Everything else asks here: nobody else takes a largest score for a prediction, or
knows that a score is a logit.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import BundleFormatError, UsageError, unknown

PREDICTION = "prediction"
"""The column of what is predicted, whatever the task."""


@dataclass(frozen=True)
class PredictedColumn:
    """One column of a prediction."""

    name: str
    names_target: bool = False
    """Whether its values are targets, by index; otherwise they are float32 numbers."""


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for N rows."""

    values: tuple[NDArray[Any], ...]
    """[N] each: the values of `Task.columns`."""
    target: NDArray[np.int64]
    """[N]: the target that is explained where none is asked for."""


class Task(ABC):
    """What a model's outputs mean.

    Args:
        targets: names of what the K scores are for, in order; for a classification the classes.
    """

    name: ClassVar[str]
    """The task in the sidecar."""
    unit: ClassVar[str]
    """The unit of a score, and so of base values, attributions and completeness errors."""
    score: ClassVar[str]
    """The graph's output [N, K] that is explained."""
    outputs: ClassVar[tuple[str, ...]]
    """The graph's outputs [N, K] that a prediction is made of, the scores first."""
    target: ClassVar[str]
    """What one target is called, in messages."""
    targets_title: ClassVar[str]
    """What several targets are called, in front of a list of them."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)

    @abstractmethod
    def predicted(self, scores: Any) -> Any:
        """The index of the target that is explained where none is asked for, [N], from scores [N, K].

        Both numpy arrays and PyTorch tensors are taken, and the same is given.
        """

    @property
    @abstractmethod
    def columns(self) -> tuple[PredictedColumn, ...]:
        """The columns of a prediction, in order."""

    @abstractmethod
    def predict(self, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
        """The prediction of N rows from `outputs`, [N, K] each."""

    @abstractmethod
    def counts(self, prediction: Prediction) -> dict[str, int]:
        """Rows by predicted target, all targets in order; empty for a task that predicts none of them."""

    @property
    def predicts_targets(self) -> bool:
        """Whether a prediction names one of the targets."""
        return any(column.names_target for column in self.columns)

    @property
    def probability_columns(self) -> dict[str, str]:
        """The column of each target's probability; empty for a task that has none."""
        return {}

    def check_outputs(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise BundleFormatError where the shapes of a row's outputs, by name, lack what the task needs."""
        count = len(self.targets)
        for name in self.outputs:
            if shapes.get(name) != (count,):
                raise BundleFormatError(f"expected an output {name!r} of shape [N, {count}]")


def first_largest(scores: Any) -> Any:
    """The place of the first largest score of each row, [N], from an array or a tensor [N, K]."""
    return scores.argmax(1)


class Classification(Task):
    """One of C classes: a logit and a probability each; the first largest logit decides.

    Probabilities rise with the logits, but round to float32: where two of them tie, the logits still tell them apart.
    """

    name = "classification"
    unit = "logits"
    score = "logits"
    outputs = ("logits", "probabilities")
    target = "class"
    targets_title = "classes"

    def predicted(self, scores: Any) -> Any:
        return first_largest(scores)

    @property
    def columns(self) -> tuple[PredictedColumn, ...]:
        chances = [PredictedColumn(name) for name in self.probability_columns.values()]
        return (PredictedColumn(PREDICTION, names_target=True), *chances)

    @property
    def predicts_targets(self) -> bool:
        """Whether a prediction names one of the targets."""
        return any(column.names_target for column in self.columns)

    @property
    def probability_columns(self) -> dict[str, str]:
        return {name: f"probability.{name}" for name in self.targets}

    def predict(self, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
        predicted = self.predicted(outputs[self.score])
        return Prediction((predicted, *np.ascontiguousarray(outputs["probabilities"].T)), predicted)

    def counts(self, prediction: Prediction) -> dict[str, int]:
        counted = np.bincount(prediction.target, minlength=len(self.targets))
        return {name: int(rows) for name, rows in zip(self.targets, counted, strict=True)}


TASKS: dict[str, type[Task]] = {Classification.name: Classification}
"""The tasks by their names in the sidecar."""


def find_task(name: str, targets: Sequence[str]) -> Task:
    """The task of that name with these targets; UsageError for an unknown one."""
    if name not in TASKS:
        raise UsageError(unknown("task", name, TASKS))
    return TASKS[name](targets)
