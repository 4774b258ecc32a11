"""The target column: class names, and the class of each row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.bundle.constraints import TEXT
from whyport.runtime.errors import TrainingError, UsageError, listing, unknown

MAX_CLASSES = 100


def class_values(labels: pd.Series) -> tuple[str, ...]:
    """The classes of a target column: text in alphabetical order, numbers in theirs.

    Raises TrainingError where the column cannot be a class label.
    """
    values = _checked(labels).unique()
    if len(values) == 1:
        raise TrainingError(f"target {labels.name!r}: expected at least 2 classes, got only {str(values[0])!r}")
    if not _repeat(len(values), len(labels)):
        raise TrainingError(
            f"target {labels.name!r}: expected class labels, at most {MAX_CLASSES} that repeat, got {len(values)} "
            f"distinct values in {len(labels)} rows"
        )
    names = tuple(str(value) for value in sorted(values))
    for name in names:
        if not TEXT.holds(name):
            raise TrainingError(f"target {labels.name!r}, class {name!r}: expected {TEXT.expected}")
    return names


def name_classes(
    target: str, labels: pd.Series, values: tuple[str, ...], names: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The values of a target column and what they are called, in the order of the names.

    Numbers and truths take the names in their own order. Texts are their own names, and take the names' order.

    Args:
        target: the column's name.
        labels: the column.
        values: the column's values, see `class_values`.
        names: the names by choice; empty for the values themselves.

    Raises:
        UsageError: the names do not fit the values.
    """
    if not names:
        return values, values
    if pd.api.types.is_numeric_dtype(_plain(labels)):
        fits, order = len(names) == len(values), values
    else:
        fits, order = set(names) == set(values), names
    if not fits or len(set(names)) < len(names):
        raise UsageError(
            f"--classes: expected a name for each of the {len(values)} classes {listing(values)} of target {target!r}, "
            f"got {listing(names)}"
        )
    return order, names


def could_be_classes(labels: pd.Series) -> bool:
    """Whether a column has as few distinct values as classes have."""
    return _repeat(labels.nunique(), len(labels))


def class_indices(labels: pd.Series, classes: Sequence[str]) -> NDArray[np.int64]:
    """The index of each row's class, [N].

    Raises TrainingError for a value that is none of the classes.
    """
    index = {name: i for i, name in enumerate(classes)}
    names = [str(value) for value in _checked(labels)]
    for row, name in enumerate(names):
        if name not in index:
            raise TrainingError(f"{unknown(f'class in target {labels.name!r}', name, classes)}, in row {row}")
    return np.array([index[name] for name in names], dtype=np.int64)


def _repeat(distinct: int, rows: int) -> bool:
    return distinct <= MAX_CLASSES and distinct <= max(2, rows // 2)


def _plain(labels: pd.Series) -> pd.Series:
    """The labels with the type of their values."""
    return labels.astype(labels.cat.categories.dtype) if isinstance(labels.dtype, pd.CategoricalDtype) else labels


def _checked(labels: pd.Series) -> pd.Series:
    """The labels as text, booleans or integers only; whole numbers in a float column are integers."""
    where = f"target {labels.name!r}"
    if labels.isna().any():
        row = int(np.flatnonzero(labels.isna())[0])
        raise TrainingError(f"{where}, row {row}: expected a class, got a missing value (in CSV also NA, null, None)")
    labels = _plain(labels)
    if pd.api.types.is_bool_dtype(labels) or pd.api.types.is_integer_dtype(labels):
        return labels
    if pd.api.types.is_float_dtype(labels):
        values = labels.to_numpy(np.float64)
        if (values == np.floor(values)).all() and (np.abs(values) < 2**53).all():
            return labels.astype(np.int64)
        raise TrainingError(
            f"{where}: expected classes (text or whole numbers), got fractions: that is --task regression"
        )
    kinds = sorted({type(value).__name__ for value in labels})
    if kinds != ["str"]:
        raise TrainingError(f"{where}: expected text or whole numbers, got {listing(kinds)}")
    return labels
