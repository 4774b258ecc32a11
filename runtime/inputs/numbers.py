"""Columns of any numeric type as NumPy arrays, NaN where a value is missing."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import ValueRangeError
from whyport.runtime.inputs.sources import is_arrow, is_missing, is_number

if TYPE_CHECKING:
    import pyarrow as pa


class OtherTypeError(Exception):
    """The type of a column that is not what the model takes."""


def number_array(column: Any, name: str) -> NDArray[Any]:
    """A numeric or boolean array [N] from a column of any kind; what is missing is NaN.

    Raises OtherTypeError with the column's type where it is no number a row, ValueRangeError for an integer beyond
    float64.
    """
    if is_arrow(column):
        return _of_chunks(column)
    if hasattr(column, "isna") and getattr(column.dtype, "kind", "O") in "biuf":
        # pandas' nullable types would become objects; a missing value is NaN here.
        array: NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        try:
            array = np.asarray(column)
        except ValueError:  # values of different shapes
            raise OtherTypeError("lists of different lengths") from None
    if array.dtype == object and all(is_missing(v) or is_number(v) or isinstance(v, Decimal) for v in array.flat):
        try:
            array = np.array([np.nan if is_missing(v) else v for v in array.flat], dtype=np.float64).reshape(
                array.shape
            )
        except OverflowError:
            raise ValueRangeError(f"column {name!r}: expected values in float32's range, got a larger one") from None
    if array.dtype.kind not in "biuf":
        kind = getattr(column, "type", getattr(column, "dtype", array.dtype))
        raise OtherTypeError(str(kind))
    if array.ndim != 1:
        raise OtherTypeError(f"shape {list(array.shape)}")
    return array


def is_numeric(kind: "pa.DataType") -> bool:
    """Whether a column of an Arrow type can be turned into numbers."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return is_numeric(kind.value_type)
    # A column without any value may have been written with the type null.
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def numeric_array(array: "pa.Array") -> NDArray[Any]:
    """The numbers of an Arrow array of a numeric type, with NaN for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        return numeric_array(array.dictionary_decode())
    if pa.types.is_boolean(kind):
        array = pc.cast(array, pa.uint8())
    elif pa.types.is_decimal(kind) or pa.types.is_null(kind):
        array = pc.cast(array, pa.float64())
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _of_chunks(column: "pa.Array | pa.ChunkedArray") -> NDArray[Any]:
    if not is_numeric(column.type):
        raise OtherTypeError(str(column.type))
    chunks = getattr(column, "chunks", None)
    if chunks is None:
        return numeric_array(column)
    return np.concatenate([numeric_array(chunk) for chunk in chunks]) if chunks else np.zeros(0)
