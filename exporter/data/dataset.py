"""A table made ready for training: rows, classes, and the split into training and test."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.columns import describe_table, encode_table
from whyport.exporter.data.kinds import KindChoice, find_kinds
from whyport.exporter.data.table import choose_features, digest, read_frame
from whyport.exporter.data.target import class_indices, class_names
from whyport.runtime.bundle.columns import Column
from whyport.runtime.errors import ColumnError, TrainingError, UsageError, WhyportError, unknown
from whyport.runtime.tables import text_columns


@dataclass(frozen=True)
class TableChoice:
    """Which tables, and which of their columns, to train and test with."""

    data: Path
    target: str
    features: tuple[str, ...] = ()
    """Empty for all columns but the target and the excluded."""
    excluded: tuple[str, ...] = ()
    test: Path | None = None
    """A table of its own for the test; without it a share of `data` is kept back."""
    test_fraction: float = 0.2
    kinds: KindChoice = field(default_factory=KindChoice)
    """Which of the features are categories or dates."""


@dataclass(frozen=True)
class Labelled:
    """Rows with their classes."""

    rows: NDArray[np.float32]
    """[N, F] in the features' own units, codes of categories; NaN where a number is missing."""
    labels: NDArray[np.int64]
    """Indices of classes, [N]."""


@dataclass(frozen=True)
class Dataset:
    """What a network is trained and tested with."""

    train: Labelled
    test: Labelled
    features: tuple[Column, ...]
    """With the statistics of the training rows alone."""
    classes: tuple[str, ...]
    digest: str


def load_dataset(choice: TableChoice, seed: int) -> Dataset:
    """Read, check and split.

    Raises DataError, TrainingError or UsageError, with the file, for tables that no classifier can be trained with.
    """
    if not 0 < choice.test_fraction < 1:
        raise UsageError(f"expected a test fraction between 0 and 1, got {choice.test_fraction}")
    frame = read_frame(choice.data)
    try:
        names = choose_features(frame, choice.features, choice.excluded, choice.target)
        kinds = find_kinds(frame, names, choice.kinds, choice.features)
        classes = class_names(frame[choice.target])
        labels = class_indices(frame[choice.target], classes)
        if choice.test is None:
            _check_repeated(labels, classes)
            train_rows, test_rows = stratified_split(labels, choice.test_fraction, seed)
        else:
            train_rows, test_rows = np.arange(len(labels)), np.arange(0)
        features = describe_table(frame, kinds, train_rows, choice.kinds.rare)
        matrix = encode_table(features, frame)
    except WhyportError as error:
        raise error.at(str(choice.data)) from None
    test = Labelled(matrix[test_rows], labels[test_rows])
    if choice.test is not None:
        test = _load_test(choice.test, choice.target, features, classes)
    files = [choice.data] if choice.test is None else [choice.data, choice.test]
    return Dataset(
        train=Labelled(matrix[train_rows], labels[train_rows]),
        test=test,
        features=features,
        classes=classes,
        digest=digest(*files),
    )


def stratified_split(labels: NDArray[np.int64], fraction: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Row numbers of the training and of the test part, each in order, with the same shares of the classes."""
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed)
    except ValueError as error:
        raise TrainingError(f"{len(labels)} rows cannot be split with test fraction {fraction}: {error}") from None
    return np.sort(train), np.sort(test)


def _check_repeated(labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    rarest = int(np.bincount(labels).argmin())
    if (labels == rarest).sum() < 2:
        raise TrainingError(
            f"class {classes[rarest]!r}: expected at least 2 rows, one to train and one to test, got 1; give a test "
            f"table with --test"
        )


def _load_test(path: Path, target: str, features: tuple[Column, ...], classes: tuple[str, ...]) -> Labelled:
    frame: pd.DataFrame = read_frame(path, text_columns(features))
    try:
        if target not in frame.columns:
            raise ColumnError(unknown("column", target, map(str, frame.columns)))
        return Labelled(encode_table(features, frame), class_indices(frame[target], classes))
    except WhyportError as error:
        raise error.at(str(path)) from None
