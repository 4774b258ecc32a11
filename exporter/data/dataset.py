"""A table made ready for training: rows, outcomes, and the split into training, validation and test."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.groups import check_apart, group_values
from whyport.exporter.data.input_choice import SEQUENCE, InputChoice
from whyport.exporter.data.inputs import named_columns
from whyport.exporter.data.kinds import KindChoice, find_kinds
from whyport.exporter.data.outcome import Outcome, TargetChoice, find_outcome
from whyport.exporter.data.row_reader import ColumnReader, InputReader, RowForm, RowReader
from whyport.exporter.data.sequence_suspects import find_sequence_suspects
from whyport.exporter.data.split import SplitChoice, split_rows
from whyport.exporter.data.suspects import Suspect, find_suspects
from whyport.exporter.data.table import check_header, choose_features, digest, read_frame
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.errors import ColumnError, TrainingError, UsageError, WhyportError
from whyport.runtime.tables import text_columns


@dataclass(frozen=True)
class TableChoice:
    """The tables, and the columns of them, to train, validate and test with."""

    data: Path
    target: TargetChoice
    features: tuple[str, ...] = ()
    """Empty for all columns but the targets, the excluded, and the one that the rows are split by."""
    excluded: tuple[str, ...] = ()
    split: SplitChoice = field(default_factory=SplitChoice)
    kinds: KindChoice = field(default_factory=KindChoice)
    """The features that are categories or dates."""
    inputs: tuple[InputChoice, ...] = ()
    """Sequences, and tables beside them; empty where all features are columns of one table."""

    def __post_init__(self) -> None:
        if not self.inputs:
            return
        if not any(each.kind == SEQUENCE for each in self.inputs):
            raise UsageError("--input: expected a sequence among them; the columns of one table are --features")
        options = {
            "--features": self.features,
            "--exclude": self.excluded,
            "--categorical": self.kinds.categorical,
            "--dates": self.kinds.dates,
            "--rare": self.kinds.rare != KindChoice().rare,
        }
        for option, given in options.items():
            if given:
                raise UsageError(f"{option} is for a model of one table; --input names the columns of each input")

    @property
    def other_columns(self) -> tuple[str, ...]:
        """The columns that are no features unless they are named: excluded, split by, and all targets but the first."""
        by = () if self.split.by is None or self.split.by in self.features else (self.split.by,)
        return (*self.excluded, *self.target.columns[1:], *by)

    def check_headers(self) -> None:
        """Check what the headers of the tables alone show, before anything costly begins.

        Raises UsageError, DataError and ColumnError as `check_header`.
        """
        self._check_targets()
        found = check_header(self.data, self.features, self.other_columns, self.target.columns[0], numbers=False)
        if self.inputs:
            by = () if self.split.by is None else (self.split.by,)
            found = self._input_columns((*self.target.columns, *by, *found))
        self.kinds.check(found)
        for path in self.split.tables:
            # A table to validate or to test with needs no column that is left out.
            others = (*self.target.columns[1:], *(() if self.split.by is None else (self.split.by,)))
            check_header(path, found, others, self.target.columns[0], numbers=False)

    def reader(self, frame: pd.DataFrame) -> RowReader:
        """What reads the features; ColumnError for a column that there is not, or that cannot be a feature."""
        if self.inputs:
            self._input_columns(frame.columns)
            return InputReader.of(frame, self.inputs)
        self._check_targets()
        names = choose_features(frame, self.features, self.other_columns, self.target.columns[0])
        return ColumnReader(find_kinds(frame, names, self.kinds, self.features), self.kinds.rare)

    def _input_columns(self, known: Iterable[str]) -> tuple[str, ...]:
        """The columns of all inputs."""
        columns = list(known)
        names = tuple(name for each in self.inputs for name in named_columns(each, columns))
        for name in self.target.columns:
            if name in names:
                raise ColumnError(f"column {name!r} is the target and cannot be a feature")
        return names

    def _check_targets(self) -> None:
        for name in self.target.columns:
            if name in self.features:
                raise ColumnError(f"column {name!r} is the target and cannot be a feature")


@dataclass(frozen=True)
class Labelled:
    """Rows with their outcomes."""

    rows: NDArray[np.float32]
    """[N, F] in the features' own units, codes of categories; NaN where a number is missing."""
    labels: NDArray[Any]
    """Indices of classes, [N] int64; or quantities in their units, [N, K] float64."""

    def only(self, places: NDArray[np.int64]) -> Self:
        """Some of the rows."""
        return replace(self, rows=self.rows[places], labels=self.labels[places])


@dataclass(frozen=True)
class Dataset:
    """The rows that a network is trained, validated and tested with."""

    train: Labelled
    validation: Labelled | None
    """The rows that choose the best epoch, where there are any."""
    test: Labelled
    features: tuple[Column, ...]
    """With the statistics of the training rows alone."""
    outcome: Outcome
    suspects: tuple[Suspect, ...]
    """The feature columns that a user should look at again."""
    digest: str
    inputs: tuple[Input, ...] = ()
    """The model's inputs, where they are others than one table of the features."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the score's columns: the classes, or the quantities."""
        return self.outcome.targets


def load_dataset(choice: TableChoice, seed: int) -> Dataset:
    """Read, check and split.

    Raises DataError, TrainingError or UsageError, with the file, for tables that nothing can be trained with.
    """
    frame = read_frame(choice.data)
    try:
        reader = choice.reader(frame)
        outcome = find_outcome(frame, choice.target)
        labels = outcome.labels(frame)
        strata = outcome.strata(labels)
        groups = None if choice.split.by is None else group_values(frame, choice.split.by)
        usable = reader.usable(frame, str(choice.data))
        _check_repeated(None if strata is None else strata[usable], outcome.targets, choice.split.parts)
        parts = split_rows(choice.split, strata, groups, usable, seed)
        outcome.check_training(labels[parts.train])
        form = reader.describe(frame, parts.train)
        every = Labelled(form.encode(frame), labels)
        learned = every.only(parts.train)
        suspects = find_suspects(frame.iloc[parts.train], reader.kinds, learned.labels, seed, reader.advice)
        suspects += find_sequence_suspects(form.inputs, learned.rows, learned.labels, seed)
    except WhyportError as error:
        raise error.at(str(choice.data)) from None
    validation, test = every.only(parts.validation), every.only(parts.test)
    more = {path: read_frame(path, text_columns(form.features)) for path in choice.split.tables}
    if choice.split.by is not None:
        check_apart([(choice.data, frame), *more.items()], choice.split.by)
    if choice.split.validation is not None:
        validation = _label(choice.split.validation, more, form, outcome)
    if choice.split.test is not None:
        test = _label(choice.split.test, more, form, outcome)
    return Dataset(
        train=learned,
        validation=validation if choice.split.validates else None,
        test=test,
        features=form.features,
        inputs=form.inputs,
        outcome=outcome,
        suspects=suspects,
        digest=digest(choice.data, *choice.split.tables),
    )


def _check_repeated(strata: NDArray[np.int64] | None, classes: tuple[str, ...], parts: int) -> None:
    """Raise TrainingError for a class with too few rows for every part."""
    if strata is None or parts < 2:
        return
    counts = np.bincount(strata, minlength=len(classes))
    rarest = int(counts.argmin())
    if counts[rarest] < parts:
        uses = "one to train and one to test" if parts == 2 else "one to train, one to validate and one to test"
        raise TrainingError(
            f"class {classes[rarest]!r}: expected at least {parts} rows, {uses}, got {counts[rarest]}; give a test "
            f"table with --test"
        )


def _label(path: Path, frames: Mapping[Path, pd.DataFrame], form: RowForm, outcome: Outcome) -> Labelled:
    """The rows of a table beside the training table that can be scored."""
    frame = frames[path]
    try:
        rows = form.encode(frame)
        return Labelled(rows, outcome.labels(frame)).only(form.fitting(frame, rows, str(path)))
    except WhyportError as error:
        raise error.at(str(path)) from None
