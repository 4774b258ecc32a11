"""The column whose rows of one value stay together: a person's, a machine's, a day's."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.errors import ColumnError, TrainingError, unknown


def group_values(frame: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """The number of each row's group, [N].

    Raises ColumnError where there is no such column, TrainingError for a row without a value.
    """
    codes: NDArray[np.int64] = pd.factorize(_groups(frame, name))[0]
    return codes


def check_apart(training: pd.DataFrame, other: pd.DataFrame, name: str) -> None:
    """Raise TrainingError for a group that is in both tables."""
    shared = _groups(other, name)[_groups(other, name).isin(set(_groups(training, name)))]
    if len(shared):
        raise TrainingError(
            f"column {name!r}, row {shared.index[0]}: expected a value that is not in the training table, got "
            f"{str(shared.iloc[0])!r}: its rows would be on both sides of the split"
        )


def _groups(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    if name not in frame.columns:
        raise ColumnError(unknown("column", name, map(str, frame.columns)))
    groups = frame[name]
    for row in np.flatnonzero(groups.isna()):
        raise TrainingError(f"column {name!r}, row {row}: expected a value to split by, got a missing one")
    return groups
