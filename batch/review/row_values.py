"""The values of one row as its input has them, in words."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.runtime.bundle.columns import TIME, Column

MISSING = "missing"


def row_values(run: FinishedRun, index: int, row: int, columns: Sequence[Column]) -> dict[str, str]:
    """The values of a row by column, as text, numbers with their unit where it is known.

    Args:
        run: the run.
        index: the input's index among all inputs.
        row: the row's number in the input.
        columns: the columns to read.

    Raises:
        DataError: the input cannot be read. AuditError: it has changed since it was scored.
    """
    inputs = RunInputs(run, [column.name for column in columns])
    batch = inputs.rows(inputs.open(index), np.array([row]))
    (values,) = batch.to_pylist()
    return {column.name: with_unit(value_text(values[column.name]), column) for column in columns}


def value_text(value: object) -> str:
    """One value of an input as text."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, Decimal):
        return value_text(float(value))
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def with_unit(text: str, column: Column) -> str:
    """A value's text with its column's unit; dates, categories and what is missing have none."""
    has_unit = column.unit is not None and column.kind != TIME and text != MISSING
    return f"{text} {column.unit}" if has_unit else text


def described(names: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Each name with its value, where that is known."""
    return [f"{name} = {values[name]}" if name in values else name for name in names]
