"""A training table's feature columns: described, and encoded as the rows that a network takes."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.categories import KEPT, describe_categories
from whyport.exporter.data.statistics import describe_numbers
from whyport.runtime.bundle.columns import CATEGORY, IMPUTE, TIME, Column
from whyport.runtime.errors import ColumnError, ValueRangeError
from whyport.runtime.inputs.numbers import OtherTypeError, number_array
from whyport.runtime.inputs.table import Columns
from whyport.runtime.inputs.times import days
from whyport.runtime.limits import RowLimit

logger = logging.getLogger(__name__)


def describe_table(
    frame: pd.DataFrame, kinds: Mapping[str, str], rows: NDArray[np.int64], rare: RowLimit = KEPT
) -> tuple[Column, ...]:
    """The feature columns with the statistics of the training rows; missing numbers are to be imputed.

    Args:
        frame: the table.
        kinds: the kind of each feature column, in order.
        rows: the places of the training rows in it.
        rare: categories of fewer training rows than this are pooled.

    Raises:
        TrainingError: a column without values, of mixed types, or with a name that no bundle can hold. ColumnError: a
        column of another type. ValueRangeError: values that are infinite, or beyond float32.
    """
    return tuple(_describe(name, kind, frame[name], rows, rare) for name, kind in kinds.items())


def encode_table(columns: Sequence[Column], frame: pd.DataFrame) -> NDArray[np.float32]:
    """The rows of a table as a network takes them, [N, F]: numbers, days, and codes of categories; NaN where missing.

    Raises ColumnError for columns that are missing or of another type, ValueRangeError for an infinity, and where
    float32 is too coarse for a column's spread.
    """
    return encode_rows(Columns.of(columns), columns, frame)


def encode_rows(columns: Columns, features: Sequence[Column], frame: pd.DataFrame) -> NDArray[np.float32]:
    """Do what `encode_table` does, where columns may fill several features of a row each."""
    matrix = columns.encode(frame).matrix
    for row, j in np.argwhere(np.isinf(matrix)):
        raise ValueRangeError(f"column {features[j].name!r}, row {row}: expected a finite value, got {matrix[row, j]}")
    return matrix


def _describe(name: str, kind: str, column: pd.Series, rows: NDArray[np.int64], rare: RowLimit) -> Column:
    if kind == CATEGORY:
        return describe_categories(name, column.iloc[rows], rare)
    # All rows are looked at, so that an error names the row in the table.
    numbers = _days(name, column) if kind == TIME else number_array(column, name)
    for row in np.flatnonzero(np.isinf(numbers)):
        raise ValueRangeError(f"column {name!r}, row {row}: expected a finite value, got {numbers[row]}")
    return describe_numbers(name, numbers[rows], missing=IMPUTE, kind=kind)


def _days(name: str, column: pd.Series) -> NDArray[np.float64]:
    try:
        found, is_bad = days(column)
    except OtherTypeError as error:
        raise ColumnError(f"column {name!r}: expected dates, times or text, got {error}") from None
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        logger.warning(
            "column %r: %d texts name no date and count as missing, the first %r in row %d; write 2024-01-31",
            name,
            is_bad.sum(),
            column.iloc[first],
            first,
        )
    return found
