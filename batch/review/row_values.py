"""The values of one row as its input has them, in words."""

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from whyport.batch.arrow import first_row
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.runtime.bundle.columns import TIME, Column
from whyport.runtime.errors import WhyportError
from whyport.runtime.inputs.categories import category_text

MISSING = "missing"


class RowValues:
    """The values of one row, read when they are asked for.

    Args:
        run: the run.
        index: the input's index among all inputs.
        row: the row's number in the input.
        columns: the bundle's columns, which say the units; by default those of the run's bundle, if it is there.
    """

    def __init__(self, run: FinishedRun, index: int, row: int, columns: Sequence[Column] | None = None) -> None:
        self._run, self._index, self._row = run, index, row
        self._columns = {column.name: column for column in (known_columns(run) if columns is None else columns)}
        self._found: dict[str, str] = {}
        self.problem = ""
        """The reason why values are not known; empty where they are."""

    def of(self, names: Sequence[str]) -> dict[str, str]:
        """The values of these columns as text, with their unit; names that are none of the input's are left out."""
        lacking = [name for name in names if name not in self._found]
        if lacking and not self.problem:
            try:
                self._found |= self._read(lacking)
            except WhyportError as error:
                self.problem = str(error)
        return {name: self._found[name] for name in names if name in self._found}

    def _read(self, names: Sequence[str]) -> dict[str, str]:
        file = RunInputs(self._run, ()).open(self._index)
        there = [name for name in names if name in file.schema.names]
        if not there:
            return {}  # groups of columns alone
        batch = RunInputs(self._run, there).rows(file, np.array([self._row]))
        values = first_row(batch)
        return {name: shown_value(values[name], self._columns.get(name)) for name in there}


def known_columns(run: FinishedRun) -> Sequence[Column]:
    """The columns of the run's bundle; none where it is gone."""
    try:
        return run.open_bundle().sidecar.columns
    except WhyportError:
        return ()


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
    if isinstance(value, dt.datetime) and value.tzinfo is None and value.time() == dt.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def shown_value(value: object, column: Column | None) -> str:
    """One value of an input as text: of a category column the category, elsewhere with the column's unit."""
    if column is not None and column.categories is not None and isinstance(value, float | Decimal) and value == value:
        return category_text(value)
    return with_unit(value_text(value), column)


def with_unit(text: str, column: Column | None) -> str:
    """A value's text with its column's unit; dates, and what is missing, have none."""
    unit = None if column is None or column.kind == TIME or text == MISSING else column.unit
    return text if unit is None else f"{text} {unit}"
