"""The column whose rows of one value stay together: a person's, a machine's, a day's."""

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.errors import ColumnError, TrainingError, WhyportError, unknown


def group_values(frame: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """The number of each row's group, [N].

    Raises ColumnError where there is no such column, TrainingError for a row without a value.
    """
    codes: NDArray[np.int64] = pd.factorize(_groups(frame, name))[0]
    return codes


def check_apart(tables: Iterable[tuple[Path, pd.DataFrame]], name: str) -> None:
    """Raise TrainingError for a group that is in two tables, which may be the same file, by the values as text."""
    seen: dict[str, Path] = {}
    for path, frame in tables:
        try:
            groups = _as_texts(_groups(frame, name))
        except WhyportError as error:
            raise error.at(str(path)) from None
        for row, value in enumerate(groups):
            if value in seen:
                raise TrainingError(
                    f"column {name!r}, row {row}: expected a value that is in no other table, got {value!r}, which is "
                    f"in {seen[value]} too: its rows would be on both sides of the split, in {path}"
                )
        seen |= dict.fromkeys(groups, path)


def _as_texts(values: "pd.Series[Any]") -> list[str]:
    """The values as text; whole numbers of any type alike, as one table has 7 and another one 7.0."""
    return [str(int(value) if _is_whole(value) else value) for value in values]


def _is_whole(value: Any) -> bool:
    return isinstance(value, Real | Decimal) and bool(value % 1 == 0)


def _groups(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    if name not in frame.columns:
        raise ColumnError(unknown("column", name, map(str, frame.columns)))
    groups = frame[name]
    for row in np.flatnonzero(groups.isna()):
        raise TrainingError(f"column {name!r}, row {row}: expected a value to split by, got a missing one")
    return groups
