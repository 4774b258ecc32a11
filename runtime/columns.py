"""Columns of any numeric type to the float32 matrix that the graphs take, refusing what float32 cannot hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Feature
from runtime.errors import ColumnError, ValueRangeError, listing

RESOLUTION = 1e-3
"""float32 must tell apart values that lie this fraction of a feature's training standard deviation apart."""

CHECKED_VALUES = 1 << 16
"""Values that are checked at once."""


@dataclass(frozen=True)
class Columns:
    """The feature columns of a model, in order, with the magnitude from which float32 is too coarse for each."""

    names: tuple[str, ...]
    limits: NDArray[np.float32]
    """[F]: float32 is too coarse where |value| >= limit; infinity for a feature that was constant in training."""

    @classmethod
    def of(cls, features: Sequence[Feature]) -> Self:
        """The columns of these features."""
        spread = np.array([feature.standard_deviation for feature in features], dtype=np.float64)
        with np.errstate(divide="ignore"):
            # The spacing of float32 in [2^k, 2^(k+1)) is 2^(k-23): it exceeds s from the power of 2 above s * 2^23 on.
            exponents = np.floor(np.log2(RESOLUTION * spread)) + 24
        limits = np.where(spread > 0, np.exp2(np.clip(exponents, -120, 127)), np.inf).astype(np.float32)
        return cls(names=tuple(feature.name for feature in features), limits=limits)

    def matrix(self, columns: Sequence[NDArray[Any]], first_row: int = 0) -> NDArray[np.float32]:
        """[N, F] float32 from one numeric or boolean array of N values a feature, rounded to nearest.

        NaN and infinities pass. Raises ValueRangeError naming column and row (counted from `first_row`) for a finite
        value that overflows float32, or whose float32 spacing is coarser than `RESOLUTION` allows.
        """
        matrix = np.empty((len(columns[0]), len(columns)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for j, column in enumerate(columns):
                matrix[:, j] = column
        self._check(matrix, columns, first_row)
        return matrix

    def round_into(self, matrix: NDArray[np.float32], rows: NDArray[np.floating[Any]], first_row: int = 0) -> None:
        """As `matrix`, for floating values that stand side by side already, [N, F]; fills a matrix that is there."""
        with np.errstate(over="ignore"):
            np.copyto(matrix, rows, casting="same_kind")
        self._check(matrix, rows.T, first_row)

    def _check(
        self, matrix: NDArray[np.float32], columns: Sequence[NDArray[Any]] | NDArray[Any], first_row: int
    ) -> None:
        # A block of rows at a time stays in the cache.
        block = max(CHECKED_VALUES // len(columns), 1)
        for start in range(0, len(matrix), block):
            with np.errstate(invalid="ignore"):
                is_fine = np.abs(matrix[start : start + block]) < self.limits
            if not is_fine.all():
                self._refuse([column[start : start + block] for column in columns], ~is_fine, first_row + start)

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


def column_arrays(rows: Any, names: Sequence[str]) -> list[NDArray[Any]]:
    """One numeric or boolean array a name, from an array [N, F], a mapping of columns, or a pandas-like frame.

    Raises ColumnError for a missing column, one that is not numeric, or columns of different lengths.
    """
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise ColumnError(f"expected an array of shape [N, {len(names)}], got {list(rows.shape)}")
        return [_numeric(rows[:, j], name) for j, name in enumerate(names)]
    # An Arrow table's own `columns` are the columns themselves; a mapping has neither attribute.
    available = list(getattr(rows, "column_names", getattr(rows, "columns", rows)))
    missing = [name for name in names if name not in available]
    if missing:
        raise ColumnError(f"missing feature columns {listing(missing)}; the data has {listing(map(str, available))}")
    columns = [_numeric(rows[name], name) for name in names]
    for name, column in zip(names, columns, strict=True):
        if len(column) != len(columns[0]):
            raise ColumnError(f"column {name!r}: expected {len(columns[0])} values, got {len(column)}")
    return columns


def _numeric(column: Any, name: str) -> NDArray[Any]:
    if hasattr(column, "isna") and getattr(column.dtype, "kind", "O") in "biuf":
        # pandas' nullable types would come as objects; a missing value is NaN here.
        array: NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        array = np.asarray(column)
    if array.dtype == object and all(isinstance(v, bool | int | float | np.generic) or v is None for v in array.flat):
        array = np.array([np.nan if v is None else v for v in array.flat], dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        kind = getattr(column, "type", getattr(column, "dtype", array.dtype))
        raise ColumnError(f"column {name!r}: expected numbers, got {kind}")
    if array.ndim != 1:
        raise ColumnError(f"column {name!r}: expected one value a row, got shape {list(array.shape)}")
    return array
