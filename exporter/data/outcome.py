"""The outcome that a network is trained to predict: classes of one column, or the quantities of one or several."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.quantities import check_vary, holds_fractions, plain_numbers, quantities
from whyport.exporter.data.target import class_indices, class_values, could_be_classes, name_classes
from whyport.runtime.errors import ColumnError, TrainingError, UsageError, listing, unknown

logger = logging.getLogger(__name__)

AUTO, CLASSIFICATION, REGRESSION = "auto", "classification", "regression"
CHOICES = (AUTO, CLASSIFICATION, REGRESSION)


@dataclass(frozen=True)
class TargetChoice:
    """The target columns, and what they are taken for."""

    columns: tuple[str, ...]
    task: str = AUTO
    classes: tuple[str, ...] = ()
    """The names of the classes, in the order of the numbers; or the classes themselves, in an order of one's own."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The unit of quantities, by column."""

    def __post_init__(self) -> None:
        if self.task not in CHOICES:
            raise UsageError(unknown("task", self.task, CHOICES))
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise UsageError(f"expected different target columns, at least one, got {listing(self.columns)}")
        for name in self.units:
            if name not in self.columns:
                raise UsageError(unknown("target of --target-unit", name, self.columns))
        if self.task == CLASSIFICATION and len(self.columns) > 1:
            raise UsageError(f"expected one target with classes, got {listing(self.columns)}")
        if self.classes and self.units:
            raise UsageError(
                "--classes are of a classification, and --target-unit of a regression: expected one of them"
            )
        if self.classes and (self.task == REGRESSION or len(self.columns) > 1):
            raise UsageError("--classes: a regression has none")
        if self.units and self.task == CLASSIFICATION:
            raise UsageError("--target-unit: a classification has none")


def parse_units(columns: Sequence[str], given: Mapping[str, str] | Iterable[str] | None) -> dict[str, str]:
    """The unit by column, from such a mapping, or from texts such as "weight=g"; UsageError for anything else."""
    if given is None or isinstance(given, Mapping):
        for column, unit in (given or {}).items():
            if not unit:
                raise UsageError(f"--target-unit: expected the unit of {column!r}, got an empty text")
        return dict(given or {})
    units = {}
    for text in (given,) if isinstance(given, str) else given:
        column = next((name for name in columns if text.startswith(f"{name}=") and len(text) > len(name) + 1), None)
        if column is None:
            raise UsageError(f"--target-unit: expected TARGET=UNIT with a target of {listing(columns)}, got {text!r}")
        units[column] = text[len(column) + 1 :]
    return units


class Outcome(ABC):
    """The classes or quantities that are predicted, as a table's columns have them."""

    task: ClassVar[str]
    """The task: classification or regression."""

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """The names of the K columns of the score: the classes, or the quantities."""

    @property
    def units(self) -> tuple[str | None, ...]:
        """Each target's unit; None for a class, and where it is not known."""
        return (None,) * len(self.targets)

    @abstractmethod
    def labels(self, frame: pd.DataFrame) -> NDArray[Any]:
        """The outcome of each row: indices of classes [N] int64, or quantities [N, K] float64.

        Raises TrainingError for values that are none, with the row, ColumnError where there is no such column.
        """

    def strata(self, labels: NDArray[Any]) -> NDArray[np.int64] | None:
        """The classes [N] whose shares a split keeps; None where there are none."""
        return None

    @abstractmethod
    def check_training(self, labels: NDArray[Any]) -> None:
        """Raise TrainingError where nothing can be learned from such labels of the training rows."""


@final
@dataclass(frozen=True)
class Classes(Outcome):
    """The classes of one column."""

    task = CLASSIFICATION

    column: str
    values: tuple[str, ...]
    """The values of the column, as text."""
    names: tuple[str, ...]
    """The names of these classes, in the same order."""

    @property
    def targets(self) -> tuple[str, ...]:
        return self.names

    def labels(self, frame: pd.DataFrame) -> NDArray[Any]:
        return class_indices(_column(frame, self.column), self.values)

    def strata(self, labels: NDArray[Any]) -> NDArray[np.int64] | None:
        return labels

    def check_training(self, labels: NDArray[Any]) -> None:
        for name, rows in zip(self.names, np.bincount(labels, minlength=len(self.names)), strict=True):
            if not rows:
                raise TrainingError(
                    f"class {name!r}: expected rows to train with, got none: all of them were kept back; try another "
                    "--seed, or give a test table with --test"
                )


@final
@dataclass(frozen=True)
class Quantities(Outcome):
    """The numbers of one or several columns."""

    task = REGRESSION

    columns: tuple[str, ...]
    of: Mapping[str, str]
    """The unit by column, where it is known."""

    @property
    def targets(self) -> tuple[str, ...]:
        return self.columns

    @property
    def units(self) -> tuple[str | None, ...]:
        return tuple(self.of.get(name) for name in self.columns)

    def labels(self, frame: pd.DataFrame) -> NDArray[Any]:
        return np.stack([quantities(_column(frame, name)) for name in self.columns], axis=1)

    def check_training(self, labels: NDArray[Any]) -> None:
        check_vary(self.columns, labels)


def find_outcome(frame: pd.DataFrame, choice: TargetChoice) -> Outcome:
    """The outcome in the target columns of a training table.

    Without a task by choice, several columns, fractions, and whole numbers that do not repeat as classes do are
    quantities; everything else is classes.

    Raises:
        TrainingError: the columns can be nothing of that, or not what was chosen.
        ColumnError: there is no such column.
        UsageError: an option is of the other task.
    """
    columns = [_column(frame, name) for name in choice.columns]
    first = columns[0]
    if choice.task == REGRESSION or len(columns) > 1:
        return Quantities(choice.columns, choice.units)
    if choice.task == AUTO and (holds_fractions(first) or _counts(first)):
        if choice.classes:
            raise UsageError(
                f"--classes: target {first.name!r} holds numbers that are no classes: a regression has none"
            )
        why = "numbers with fractions" if holds_fractions(first) else f"{first.nunique()} different whole numbers"
        logger.info("target %r: %s, so a regression", first.name, why)
        return Quantities(choice.columns, choice.units)
    values = class_values(first)
    if choice.units:
        raise UsageError(f"--target-unit: target {first.name!r} holds classes; --task regression takes it for a number")
    if choice.task == AUTO and pd.api.types.is_numeric_dtype(first) and not pd.api.types.is_bool_dtype(first):
        logger.info(
            "target %r: %d whole numbers that repeat, so classes; --task regression would take them for quantities",
            first.name,
            len(values),
        )
    return Classes(choice.columns[0], *name_classes(str(first.name), first, values, choice.classes))


def _counts(column: pd.Series) -> bool:
    """Whether it holds whole numbers that do not repeat as classes do."""
    whole = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return whole and not could_be_classes(column)


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        raise ColumnError(unknown("column", name, map(str, frame.columns)))
    return plain_numbers(frame[name])
