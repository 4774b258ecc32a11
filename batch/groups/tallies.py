"""Counts of predictions and truths by group, in one pass and in bounded memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import class_indices
from whyport.batch.groups.grouping import MOST_GROUPS
from whyport.batch.groups.intervals import GroupMoments
from whyport.runtime.inputs.categories import is_text
from whyport.runtime.inputs.numbers import numeric_array
from whyport.runtime.task import PREDICTION, Task

BINS = 10
"""The bins of calibration: tenths of the predicted probability."""
GROUPS = MOST_GROUPS + 1

Outcomes = Mapping[str, NDArray[Any]]
"""The columns of a run's rows, by name, [N] each."""


class Tally(ABC):
    """Counts by group."""

    def __init__(self) -> None:
        self.rows = np.zeros(GROUPS, dtype=np.int64)
        """[groups]: the rows."""
        self.known = np.zeros(GROUPS, dtype=np.int64)
        """[groups]: the rows with a truth."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """The output's columns that are read."""

    @abstractmethod
    def outcomes(self, table: pa.Table) -> dict[str, NDArray[Any]]:
        """The columns that are needed of a table."""

    @abstractmethod
    def add(self, groups: NDArray[np.int64], outcomes: Outcomes) -> None:
        """Count rows of these groups [N], whatever their truth."""

    @abstractmethod
    def add_truths(self, groups: NDArray[np.int64], outcomes: Outcomes, truths: Sequence[pa.Array]) -> None:
        """Count rows of these groups [N] with their truths, a column for each that the task has."""


@final
class ClassTally(Tally):
    """Counts of predicted and true classes.

    Args:
        task: a task that predicts classes.
        shown: the S classes whose probabilities are looked at.
    """

    def __init__(self, task: Task, shown: Sequence[str]) -> None:
        super().__init__()
        self.classes = list(task.targets)
        self.shown = list(shown)
        count = len(self.classes)
        self._chances = [task.probability_columns[name] for name in shown] if task.probability_columns else []
        self._are_whole = all(name.lstrip("-").isdecimal() for name in self.classes)
        self.predicted = np.zeros((GROUPS, count), dtype=np.int64)
        # These count the rows with a truth alone.
        self.known_predicted = np.zeros((GROUPS, count), dtype=np.int64)
        self.true = np.zeros((GROUPS, count), dtype=np.int64)
        self.hits = np.zeros((GROUPS, count), dtype=np.int64)
        self.no_class = 0
        """The rows whose truth names no class."""
        shape = (len(self._chances), GROUPS, BINS)
        self.in_bin = np.zeros(shape, dtype=np.int64)
        self.chance_in_bin = np.zeros(shape)
        self.known_in_bin = np.zeros(shape, dtype=np.int64)
        self.known_chance_in_bin = np.zeros(shape)
        self.true_in_bin = np.zeros(shape, dtype=np.int64)

    @property
    def columns(self) -> list[str]:
        return [PREDICTION, *self._chances]

    def outcomes(self, table: pa.Table) -> dict[str, NDArray[Any]]:
        predicted = class_indices(table[PREDICTION].combine_chunks(), self.classes)
        chances = {f"chance.{s}": table[name].to_numpy().astype(np.float64) for s, name in enumerate(self._chances)}
        return {"predicted": predicted, **chances}

    def add(self, groups: NDArray[np.int64], outcomes: Outcomes) -> None:
        self.rows += np.bincount(groups, minlength=GROUPS)
        self.predicted += self._counted(groups, outcomes["predicted"])
        for s, chance, places in self._bins(groups, outcomes):
            self.in_bin[s] += _binned(places)
            self.chance_in_bin[s] += _binned(places, chance)

    def add_truths(self, groups: NDArray[np.int64], outcomes: Outcomes, truths: Sequence[pa.Array]) -> None:
        true = self._class_of(truths[0])
        self.no_class += int(((true < 0) & truths[0].is_valid().to_numpy(zero_copy_only=False)).sum())
        is_known = true >= 0
        groups, true = groups[is_known], true[is_known]
        outcomes = {name: values[is_known] for name, values in outcomes.items()}
        predicted = outcomes["predicted"]
        self.known += np.bincount(groups, minlength=GROUPS)
        self.known_predicted += self._counted(groups, predicted)
        self.true += self._counted(groups, true)
        right = predicted == true
        self.hits += self._counted(groups[right], true[right])
        for s, chance, places in self._bins(groups, outcomes):
            is_one = true == self.classes.index(self.shown[s])
            self.known_in_bin[s] += _binned(places)
            self.known_chance_in_bin[s] += _binned(places, chance)
            self.true_in_bin[s] += _binned(places[is_one])

    def _class_of(self, column: pa.Array) -> NDArray[np.int64]:
        """The class that each truth names, [N]; -1 for none."""
        from whyport.batch.groups.keys import whole_texts

        if self._are_whole and is_text(column.type):
            column = whole_texts(column)
        return class_indices(column, self.classes)

    def _counted(self, groups: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
        count = len(self.classes)
        return np.bincount(groups * count + classes, minlength=GROUPS * count).reshape(GROUPS, count)

    def _bins(self, groups: NDArray[np.int64], outcomes: Outcomes) -> list[tuple[int, NDArray[Any], NDArray[Any]]]:
        found = []
        for s in range(len(self._chances)):
            chance = outcomes[f"chance.{s}"]
            bins = np.clip((chance * BINS).astype(np.int64), 0, BINS - 1)
            found.append((s, chance, groups * BINS + bins))
        return found


def _binned(places: NDArray[np.int64], weights: NDArray[Any] | None = None) -> NDArray[Any]:
    return np.bincount(places, weights, minlength=GROUPS * BINS).reshape(GROUPS, BINS)


@final
class QuantityTally(Tally):
    """Predicted quantities, and how far they are from the measured ones.

    Args:
        task: a task that predicts quantities.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.targets = list(task.targets)
        self._columns = [column.name for column in task.columns]
        self.predictions = [GroupMoments(GROUPS, 1) for _ in self.targets]
        self.errors = [GroupMoments(GROUPS, 4) for _ in self.targets]
        """By target: the measured value, measured - predicted, its magnitude, and its square."""

    @property
    def columns(self) -> list[str]:
        return self._columns

    def outcomes(self, table: pa.Table) -> dict[str, NDArray[Any]]:
        return {str(k): table[name].to_numpy().astype(np.float64) for k, name in enumerate(self._columns)}

    def add(self, groups: NDArray[np.int64], outcomes: Outcomes) -> None:
        self.rows += np.bincount(groups, minlength=GROUPS)
        for k, moments in enumerate(self.predictions):
            moments.add(groups, outcomes[str(k)][:, None])

    def add_truths(self, groups: NDArray[np.int64], outcomes: Outcomes, truths: Sequence[pa.Array]) -> None:
        has_any = np.zeros(len(groups), dtype=np.bool_)
        for k, column in enumerate(truths):
            measured = numeric_array(column).astype(np.float64)
            is_known = np.isfinite(measured)
            has_any |= is_known
            apart = (measured - outcomes[str(k)])[is_known]
            figures = np.stack([measured[is_known], apart, np.abs(apart), apart**2], axis=1)
            self.errors[k].add(groups[is_known], figures)
        self.known += np.bincount(groups[has_any], minlength=GROUPS)
