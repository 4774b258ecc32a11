"""Table columns of any numeric type, converted to the graphs' float32 matrix; refuses what float32 cannot hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import Column
from whyport.runtime.errors import ColumnError, ValueRangeError
from whyport.runtime.inputs.columns import ColumnFaults, pasted

RESOLUTION = 1e-3
"""The share of a feature's training standard deviation that float32 must resolve."""

COMPARED_VALUES = 1 << 11
"""Values of neighbouring rows compared in one call: one call per row would cost more."""


@dataclass(frozen=True)
class Columns:
    """The feature columns of a model, in order, with the magnitude from which float32 is too coarse for each."""

    names: tuple[str, ...]
    limits: NDArray[np.float32]
    """[F]: float32 is too coarse if |value| >= limit; infinity for a feature that was constant in training."""

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Self:
        """The feature columns of a sidecar."""
        spread = np.array([column.spread for column in columns], dtype=np.float64)
        with np.errstate(divide="ignore"):
            # The spacing of float32 in [2^k, 2^(k+1)) is 2^(k-23): it exceeds s from the power of 2 above s * 2^23 on.
            exponents = np.floor(np.log2(RESOLUTION * spread)) + 24
        limits = np.where(spread > 0, np.exp2(np.clip(exponents, -120, 127)), np.inf).astype(np.float32)
        return cls(names=tuple(column.name for column in columns), limits=limits)

    def matrix(self, columns: Sequence[NDArray[Any]], first_row: int = 0) -> NDArray[np.float32]:
        """[N, F] float32 from one numeric or boolean array of N values per feature, rounded to nearest.

        NaN and infinities pass. Raises ValueRangeError naming column and row (counted from `first_row`) for a finite
        value that overflows float32, or whose float32 spacing is coarser than `RESOLUTION` allows.
        """
        matrix = np.empty((len(columns[0]), len(columns)), dtype=np.float32)
        self.fill(matrix, columns, first_row)
        return matrix

    def fill(self, matrix: NDArray[np.float32], columns: Sequence[NDArray[Any]], first_row: int = 0) -> bool:
        """Do what `matrix` does, into an existing matrix; returns whether every value is finite."""
        with np.errstate(over="ignore"):
            for j, column in enumerate(columns):
                matrix[:, j] = column
        return self._check(matrix, columns, first_row)

    def round_into(self, matrix: NDArray[np.float32], rows: NDArray[np.floating[Any]], first_row: int = 0) -> bool:
        """Do what `fill` does, for floating values that already form a matrix [N, F]."""
        with np.errstate(over="ignore"):
            np.copyto(matrix, rows, casting="same_kind")
        return self._check(matrix, rows.T, first_row)

    @np.errstate(invalid="ignore")
    def _check(
        self, matrix: NDArray[np.float32], columns: Sequence[NDArray[Any]] | NDArray[Any], first_row: int
    ) -> bool:
        # Neither NaN nor infinity is below a limit, even an infinite one.
        if (_extremes(np.maximum, matrix) < self.limits).all() and (_extremes(np.minimum, matrix) > -self.limits).all():
            return True
        self._refuse(list(columns), np.abs(matrix) >= self.limits, first_row)
        return bool(np.isfinite(matrix).all())

    @np.errstate(over="ignore")
    def _refuse(self, columns: Sequence[NDArray[Any]], suspects: NDArray[np.bool_], first_row: int) -> None:
        for row, j in np.argwhere(suspects):
            value = columns[j][row]
            if not np.isfinite(value):
                continue
            place = f"column {self.names[j]!r}, row {first_row + row}"
            if np.isinf(np.float32(value)):
                raise ValueRangeError(f"{place}: expected a value within float32's range, got {value}")
            if np.isfinite(self.limits[j]):
                spacing = np.spacing(np.float32(abs(value)))
                raise ValueRangeError(
                    f"{place}: float32 is too coarse for {value}: its spacing there is {spacing:g}, more than "
                    f"{RESOLUTION:g} of the feature's training standard deviation; train on the difference from a "
                    f"fixed value instead"
                )


def _extremes(larger: np.ufunc, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maximum or minimum of each column, [F]; NaN if the column has one, 0 without rows."""
    rows, width = matrix.shape
    together = max(COMPARED_VALUES // width, 1)
    even = rows - rows % together
    rest = matrix[even:]
    if even:
        of_many = larger.reduce(matrix[:even].reshape(-1, together * width))
        rest = np.concatenate([of_many.reshape(together, width), rest])
    extremes: NDArray[np.float32] = larger.reduce(rest) if len(rest) else np.zeros(width, np.float32)
    return extremes


def column_arrays(rows: Any, names: Sequence[str]) -> list[NDArray[Any]]:
    """One numeric or boolean array per name, from an array [N, F], a mapping of columns, a pandas-like frame, or a list
    of N mappings.

    Raises ColumnError with every column that is missing or not numeric, or for columns of different lengths.
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
    columns: dict[str, NDArray[Any]] = {}

    def wrong_type(name: str) -> str | None:
        try:
            columns[name] = _numeric(rows[name], name)
        except _NotNumericError as error:
            return str(error)
        return None

    faults.check_types(faults.check_present(names, "feature"), wrong_type, "columns that are not one number a row")
    faults.refuse("the data")
    first = len(columns[names[0]]) if names else 0
    faults.check_types(
        names,
        lambda name: None if len(columns[name]) == first else f"{len(columns[name])} values",
        f"columns that are not of {first} values, as {names[0]!r} is",
    )
    faults.refuse("the data")
    return [columns[name] for name in names]


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


class _NotNumericError(Exception):
    """The kind of a column that is not one number a row."""


def _numeric(column: Any, name: str) -> NDArray[Any]:
    if hasattr(column, "isna") and getattr(column.dtype, "kind", "O") in "biuf":
        # pandas' nullable types would become objects; a missing value is NaN here.
        array: NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        try:
            array = np.asarray(column)
        except ValueError:  # values of different shapes
            raise _NotNumericError("lists of different lengths") from None
    if array.dtype == object and all(v is None or _is_number(v) for v in array.flat):
        try:
            array = np.array([np.nan if v is None else v for v in array.flat], dtype=np.float64).reshape(array.shape)
        except OverflowError:
            raise ValueRangeError(f"column {name!r}: expected values in float32's range, got a larger one") from None
    if array.dtype.kind not in "biuf":
        kind = getattr(column, "type", getattr(column, "dtype", array.dtype))
        raise _NotNumericError(str(kind))
    if array.ndim != 1:
        raise _NotNumericError(f"shape {list(array.shape)}")
    return array


def _is_number(value: Any) -> bool:
    """Whether a value among Python objects is a number; a date, a duration, a text or a complex number is none."""
    numbers = (bool, int, float, np.bool_, np.integer, np.floating)
    # numpy takes a duration for an integer.
    return isinstance(value, numbers) and not isinstance(value, np.timedelta64)
