"""Tables in memory, whatever their kind, as columns by name: each an Arrow array, a NumPy array or a list."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import ColumnError
from whyport.runtime.inputs.columns import ColumnFaults, pasted


def source_columns(rows: Any, names: Sequence[str]) -> tuple[dict[str, Any], ColumnFaults]:
    """The named columns that a table has, each as it is, and what is wrong with the others.

    Args:
        rows: an array [N, F] of exactly these columns, a mapping of columns, a pandas-, polars- or Arrow-like frame, or
            a list of N mappings.
        names: the columns.

    Raises:
        ColumnError: an array of another width, or a row that is no mapping or lacks a column.
    """
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise ColumnError(f"expected an array of shape [N, {len(names)}], got {list(rows.shape)}")
        rows = {name: rows[:, j] for j, name in enumerate(names)}
    if isinstance(rows, list | tuple):
        rows = _columns_of(rows, names)
    # An Arrow table's own `columns` are the columns themselves; a mapping has neither attribute.
    available = list(getattr(rows, "column_names", getattr(rows, "columns", rows)))
    faults = ColumnFaults([str(name) for name in available])
    return {name: rows[name] for name in faults.check_present(names, "feature")}, faults


def is_arrow(column: Any) -> bool:
    """Whether a column is an Arrow array, chunked or not."""
    arrow = sys.modules.get("pyarrow")  # nobody has an array of a package that is not imported
    return arrow is not None and isinstance(column, arrow.Array | arrow.ChunkedArray)


def values_of(column: Any) -> NDArray[Any]:
    """A column as a NumPy array of its own type, or of Python objects where there is none.

    A list is never turned into text as a whole. What is missing in a type of pandas' own is None.
    """
    if isinstance(column, list | tuple):
        array = np.empty(len(column), dtype=object)
        array[:] = column
        return array
    if hasattr(column, "isna") and not isinstance(getattr(column, "dtype", None), np.dtype):
        values: NDArray[Any] = column.to_numpy(dtype=object, na_value=None)
        return values
    return np.asarray(column)


def element(column: Any, row: int) -> Any:
    """One value of a column of any kind, as Python has it; the bytes of a text that is not UTF-8."""
    value = getattr(column, "iloc", column)[row]
    try:
        return value.as_py() if hasattr(value, "as_py") else value
    except UnicodeDecodeError:
        return getattr(value, "value", value).as_buffer().to_pybytes()


def is_missing(value: Any) -> bool:
    """Whether a value among Python objects stands for none: None, NaN, NaT, or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | np.datetime64) and bool(value != value)


def is_number(value: Any) -> bool:
    """Whether a value among Python objects is a number; a date, a duration, a text or a complex number is none."""
    numbers = (bool, int, float, np.bool_, np.integer, np.floating)
    # numpy takes a duration for an integer.
    return isinstance(value, numbers) and not isinstance(value, np.timedelta64)


def _columns_of(rows: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a list of mappings; raises ColumnError for a row of another type, or one that lacks a feature."""
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise ColumnError(f"row {i}: expected a dictionary from feature to value, got {type(row).__name__}")
        missing = [name for name in names if name not in row]
        if missing:
            got = pasted(map(str, row))
            raise ColumnError(
                f"row {i}: missing features: {pasted(missing)} ({len(missing)} of {len(names)}); the row has: {got}"
            )
    return {name: [row[name] for row in rows] for name in names}
