"""A table made ready for training: rows, outcomes, and the split into training, validation and test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.columns import describe_table, encode_table
from whyport.exporter.data.groups import check_apart, group_values
from whyport.exporter.data.kinds import KindChoice, find_kinds
from whyport.exporter.data.outcome import Outcome, TargetChoice, find_outcome
from whyport.exporter.data.split import SplitChoice, split_rows
from whyport.exporter.data.suspects import Suspect, find_suspects
from whyport.exporter.data.table import check_header, choose_features, digest, read_frame
from whyport.runtime.bundle.columns import Column
from whyport.runtime.errors import ColumnError, TrainingError, WhyportError
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
        self.kinds.check(found)
        for path in self.split.tables:
            # A table to validate or to test with needs no column that is left out.
            others = (*self.target.columns[1:], *(() if self.split.by is None else (self.split.by,)))
            check_header(path, found, others, self.target.columns[0], numbers=False)

    def choose(self, frame: pd.DataFrame) -> tuple[str, ...]:
        """The names of the feature columns; ColumnError for a column that there is not, or that cannot be a feature."""
        self._check_targets()
        return choose_features(frame, self.features, self.other_columns, self.target.columns[0])

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
        names = choice.choose(frame)
        kinds = find_kinds(frame, names, choice.kinds, choice.features)
        outcome = find_outcome(frame, choice.target)
        labels = outcome.labels(frame)
        strata = outcome.strata(labels)
        _check_repeated(strata, outcome.targets, choice.split.parts)
        groups = None if choice.split.by is None else group_values(frame, choice.split.by)
        parts = split_rows(choice.split, strata, groups, len(labels), seed)
        outcome.check_training(labels[parts.train])
        features = describe_table(frame, kinds, parts.train, choice.kinds.rare)
        matrix = encode_table(features, frame)
        suspects = find_suspects(frame.iloc[parts.train], kinds, labels[parts.train], seed)
    except WhyportError as error:
        raise error.at(str(choice.data)) from None
    validation, test = (Labelled(matrix[rows], labels[rows]) for rows in (parts.validation, parts.test))
    more = {path: read_frame(path, text_columns(features)) for path in choice.split.tables}
    if choice.split.by is not None:
        check_apart([(choice.data, frame), *more.items()], choice.split.by)
    if choice.split.validation is not None:
        validation = _label(choice.split.validation, more, features, outcome)
    if choice.split.test is not None:
        test = _label(choice.split.test, more, features, outcome)
    return Dataset(
        train=Labelled(matrix[parts.train], labels[parts.train]),
        validation=validation if choice.split.validates else None,
        test=test,
        features=features,
        outcome=outcome,
        suspects=suspects,
        digest=digest(choice.data, *choice.split.tables),
    )


def _check_repeated(strata: NDArray[np.int64] | None, classes: tuple[str, ...], parts: int) -> None:
    """Raise TrainingError for a class with too few rows for every part."""
    if strata is None or parts < 2:
        return
    counts = np.bincount(strata)
    rarest = int(counts.argmin())
    if counts[rarest] < parts:
        uses = "one to train and one to test" if parts == 2 else "one to train, one to validate and one to test"
        raise TrainingError(
            f"class {classes[rarest]!r}: expected at least {parts} rows, {uses}, got {counts[rarest]}; give a test "
            f"table with --test"
        )


def _label(path: Path, frames: Mapping[Path, pd.DataFrame], features: tuple[Column, ...], outcome: Outcome) -> Labelled:
    """The rows of a table beside the training table."""
    try:
        return Labelled(encode_table(features, frames[path]), outcome.labels(frames[path]))
    except WhyportError as error:
        raise error.at(str(path)) from None
