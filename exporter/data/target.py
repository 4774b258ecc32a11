"""The target column: class names, and the class of each row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.bundle.constraints import TEXT
from whyport.runtime.errors import TrainingError, listing, unknown

MAX_CLASSES = 100


def class_names(labels: pd.Series) -> tuple[str, ...]:
    """The classes of a target column: text in alphabetical order, numbers in theirs.

    Raises TrainingError where the column cannot be a class label.
    """
    values = _checked(labels).unique()
    if len(values) == 1:
        raise TrainingError(f"target {labels.name!r}: expected at least 2 classes, got only {str(values[0])!r}")
    if len(values) > MAX_CLASSES or len(values) > max(2, len(labels) // 2):
        raise TrainingError(
            f"target {labels.name!r}: expected class labels, at most {MAX_CLASSES} that repeat, got {len(values)} "
            f"distinct values in {len(labels)} rows"
        )
    names = tuple(str(value) for value in sorted(values))
    for name in names:
        if not TEXT.holds(name):
            raise TrainingError(f"target {labels.name!r}, class {name!r}: expected {TEXT.expected}")
    return names


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


def _checked(labels: pd.Series) -> pd.Series:
    """The labels as text, booleans or integers only; whole numbers in a float column are integers."""
    where = f"target {labels.name!r}"
    if labels.isna().any():
        row = int(np.flatnonzero(labels.isna())[0])
        raise TrainingError(f"{where}, row {row}: expected a class, got a missing value (in CSV also NA, null, None)")
    if isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.astype(labels.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(labels) or pd.api.types.is_integer_dtype(labels):
        return labels
    if pd.api.types.is_float_dtype(labels):
        values = labels.to_numpy(np.float64)
        if (values == np.floor(values)).all() and (np.abs(values) < 2**53).all():
            return labels.astype(np.int64)
        raise TrainingError(f"{where}: expected classes (text or whole numbers), got fractions: that is a regression")
    kinds = sorted({type(value).__name__ for value in labels})
    if kinds != ["str"]:
        raise TrainingError(f"{where}: expected text or whole numbers, got {listing(kinds)}")
    return labels
