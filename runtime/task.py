"""The task of a model, which gives its outputs their meaning: the explained score, the prediction, the score's unit.

A task is one class and one line of `TASKS`. No other module takes a largest score for a prediction, or knows that a
score is a logit.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.score import CLASSIFICATION, LOGIT, MARGIN, PROBABILITY, REGRESSION, VALUE
from whyport.runtime.errors import BundleFormatError, UsageError, unknown

PREDICTION = "prediction"
"""The column of the prediction, in every task."""
EXPLAINED_TARGET = "explained_target"
"""The column of a run that names the target that a row is explained for."""


@dataclass(frozen=True)
class PredictedColumn:
    """One column of a prediction."""

    name: str
    names_target: bool = False
    """Whether the values are indices of targets; otherwise they are float32 numbers."""
    unit: str | None = None
    """The unit of numbers, where it is known; None for probabilities."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for N rows."""

    values: tuple[NDArray[Any], ...]
    """[N] each: the values of `Task.columns`."""
    target: NDArray[np.int64]
    """[N]: the target that is explained by default."""


class Task(ABC):
    """The meaning of a model's outputs.

    Args:
        targets: names of the K scores, in order; the classes of a classification.
        units: the unit of each target's score, None where it is not known; empty where the task has one for all.
    """

    name: ClassVar[str]
    """The name of the task, in tables and options."""
    task: ClassVar[str]
    """What the sidecar's score calls it."""
    kind: ClassVar[str]
    """What the sidecar calls the score's kind."""
    unit: str
    """The unit of a score, and so of base values, attributions and completeness errors."""
    score: ClassVar[str]
    """The name of the graph's output [N, K] that is explained."""
    one_score: ClassVar[str] = "score"
    """The word for one score, in messages."""
    outputs: ClassVar[tuple[str, ...]]
    """The names of the graph's outputs [N, K] that make a prediction, the scores first."""
    has_own_scale: ClassVar[bool] = True
    """Whether a score of 1 means the same in every model; a quantity's unit is the user's."""
    target: ClassVar[str]
    """The word for one target, in messages."""
    targets_title: ClassVar[str]
    """The word for several targets, in front of a list."""
    explains: str
    """The targets explained by default, as `--explain-target` names them."""
    target_columns: ClassVar[tuple[str, ...]] = (EXPLAINED_TARGET,)
    """The columns of a run that name the explained target, all with the same values."""

    def __init__(self, targets: Sequence[str], units: Sequence[str | None] = ()) -> None:
        self.targets = tuple(targets)
        self.units = tuple(units)

    @abstractmethod
    def predicted(self, scores: Any) -> Any:
        """The index of the target that is explained by default, [N], from scores [N, K].

        Scores are a numpy array or a PyTorch tensor; the result has the same type.
        """

    @property
    @abstractmethod
    def columns(self) -> tuple[PredictedColumn, ...]:
        """The columns of a prediction, in order."""

    @abstractmethod
    def predict(self, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
        """The prediction for N rows from `outputs`, [N, K] each."""

    @abstractmethod
    def counts(self, prediction: Prediction) -> dict[str, int]:
        """The number of rows by predicted target, all targets in order; empty for a task that predicts no target."""

    def unit_of(self, target: str) -> str:
        """The unit of one target's score."""
        return self.unit

    @classmethod
    def generic_names(cls, count: int) -> tuple[str, ...]:
        """Names for so many targets that have none."""
        return tuple(f"{cls.target} {i}" for i in range(count))

    @property
    def predicts_targets(self) -> bool:
        """Whether a prediction names one of the targets."""
        return any(column.names_target for column in self.columns)

    @property
    def probability_columns(self) -> dict[str, str]:
        """The column of each target's probability; empty for a task without probabilities."""
        return {}

    def check_outputs(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise BundleFormatError if the shapes of a row's outputs, by name, lack what the task needs."""
        count = len(self.targets)
        for name in self.outputs:
            if shapes.get(name) != (count,):
                raise BundleFormatError(f"expected an output {name!r} of shape [N, {count}]")


def first_largest(scores: Any) -> Any:
    """The index of the first largest score of each row, [N], from an array or a tensor [N, K]."""
    return scores.argmax(1)


class _Classes(Task):
    """One of C classes, each with a probability; the first largest score decides."""

    task = CLASSIFICATION
    target = "class"
    targets_title = "classes"
    explains = "predicted"
    target_columns = (EXPLAINED_TARGET, "explained_class")

    def predicted(self, scores: Any) -> Any:
        return first_largest(scores)

    @property
    def columns(self) -> tuple[PredictedColumn, ...]:
        chances = [PredictedColumn(name) for name in self.probability_columns.values()]
        return (PredictedColumn(PREDICTION, names_target=True), *chances)

    @property
    def probability_columns(self) -> dict[str, str]:
        return {name: f"probability.{name}" for name in self.targets}

    def predict(self, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
        predicted = self.predicted(outputs[self.score])
        return Prediction((predicted, *np.ascontiguousarray(outputs["probabilities"].T)), predicted)

    def counts(self, prediction: Prediction) -> dict[str, int]:
        counted = np.bincount(prediction.target, minlength=len(self.targets))
        return {name: int(rows) for name, rows in zip(self.targets, counted, strict=True)}


@final
class Classification(_Classes):
    """One of C classes, each with a logit and a probability; the first largest logit decides.

    Probabilities rise with the logits, but round to float32: if two probabilities tie, the logits still differ.
    """

    name = "classification"
    kind = LOGIT
    unit = "logits"
    score = "logits"
    one_score = "logit"
    outputs = ("logits", "probabilities")


@final
class ProbabilityClassification(_Classes):
    """One of C classes, each with a probability, which is the score; the first largest decides.

    It is for models whose last step is a softmax or a vote: a logit is infinite wherever a probability is 0.
    """

    name = "classification-by-probability"
    kind = PROBABILITY
    unit = "probability"
    score = "probabilities"
    one_score = "probability"
    outputs = ("probabilities",)


@final
class ClassificationByMargin(_Classes):
    """One of C classes, each with a margin, the sum of boosted trees, and a probability; the first largest decides."""

    name = "classification-by-margin"
    kind = MARGIN
    unit = "margin"
    score = "margin"
    one_score = "margin"
    outputs = ("margin", "probabilities")


@final
class Regression(Task):
    """One or several quantities, each in its own unit; every value is a prediction as it is."""

    name = "regression"
    task = REGRESSION
    kind = VALUE
    score = "value"
    one_score = "value"
    outputs = ("value",)
    has_own_scale = False
    target = "target"
    targets_title = "targets"

    def __init__(self, targets: Sequence[str], units: Sequence[str | None] = ()) -> None:
        super().__init__(targets, tuple(units) or (None,) * len(targets))
        shared = set(map(self.unit_of, self.targets))
        self.explains = f"target:{self.targets[0]}" if len(self.targets) == 1 else "all"
        self.unit = shared.pop() if len(shared) == 1 else "units of the target"

    def unit_of(self, target: str) -> str:
        return self.units[self.targets.index(target)] or f"units of {target}"

    def predicted(self, scores: Any) -> Any:
        return scores.argmax(1) * 0  # of the scores' own type

    @classmethod
    def generic_names(cls, count: int) -> tuple[str, ...]:
        return ("value",) if count == 1 else super().generic_names(count)

    @property
    def columns(self) -> tuple[PredictedColumn, ...]:
        if len(self.targets) == 1:
            return (PredictedColumn(PREDICTION, unit=self.units[0]),)
        named = zip(self.targets, self.units, strict=True)
        return tuple(PredictedColumn(f"{PREDICTION}.{name}", unit=unit) for name, unit in named)

    def predict(self, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
        values = outputs[self.score]
        return Prediction(tuple(np.ascontiguousarray(values.T)), self.predicted(values))

    def counts(self, prediction: Prediction) -> dict[str, int]:
        return {}


TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Classification, ProbabilityClassification, ClassificationByMargin, Regression)
}
"""The tasks by their names in the sidecar."""


def find_task(name: str, targets: Sequence[str], units: Sequence[str | None] = ()) -> Task:
    """The task of that name with these targets, and their units; raises UsageError for an unknown name."""
    if name not in TASKS:
        raise UsageError(unknown("task", name, TASKS))
    return TASKS[name](targets, units)
