"""Columns of dates and times as days since 1970-01-01, fractions of a day included.

A time with a zone is taken in UTC, one without as it is. Text is read as ISO 8601, as in a CSV file: 2024-01-31, or
2024-01-31T12:30:00+01:00.
"""

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.inputs.categories import is_text
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.sources import is_arrow, is_missing, values_of

if TYPE_CHECKING:
    import pyarrow as pa

PER_DAY = {"D": 1, "h": 24, "m": 24 * 60, "s": 86_400}
PER_DAY |= {unit: 86_400 * 1000**power for power, unit in enumerate(("ms", "us", "ns", "ps", "fs", "as"), start=1)}
"""How many of numpy's and Arrow's units a day has."""

EPOCH = dt.datetime(1970, 1, 1)

ISO_8601 = re.compile(
    r"\d{4}(-?)\d\d\1\d\d([T ]\d\d((:?)\d\d(\4\d\d([.,]\d+)?)?)?( ?(Z|[+-]\d\d(:?[0-5]\d)?))?)?", re.ASCII
)
"""The texts that can be times; examples/shared/columns.mjs has the same expression."""


def days(column: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The days of a column's N values, [N], and whether each is a text that names no date, [N].

    NaN where a value is missing, or names no date. Raises OtherTypeError where the column holds neither times nor text.
    """
    if is_arrow(column):
        if not is_time(column.type):
            raise OtherTypeError(str(column.type))
        found = [_of_arrow(chunk) for chunk in getattr(column, "chunks", [column])]
        if not found:
            return np.zeros(0), np.zeros(0, dtype=np.bool_)
        return np.concatenate([own for own, _ in found]), np.concatenate([own for _, own in found])
    values = values_of(column)
    if values.ndim != 1:
        raise OtherTypeError(f"shape {list(values.shape)}")
    if values.dtype.kind == "M":
        return _of_datetimes(values), np.zeros(len(values), dtype=np.bool_)
    if values.dtype.kind not in "OU":
        raise OtherTypeError(str(values.dtype))
    return _of_objects(values.astype(object))


def is_time(kind: "pa.DataType") -> bool:
    """Whether a column of an Arrow type can hold dates and times: their own types, text, and null."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return is_time(kind.value_type)
    return types.is_date(kind) or types.is_timestamp(kind) or types.is_null(kind) or is_text(kind)


def parse_day(text: str) -> float | None:
    """The days of a date or time in ISO 8601, of the years 1 to 9999; None for any other text."""
    text = text.strip()
    if not ISO_8601.fullmatch(text):
        return None
    try:
        # Python knows no space before a zone.
        return _day_of(dt.datetime.fromisoformat(re.sub(" (?=[Z+-])", "", text)))
    except (ValueError, OverflowError):
        return None


def _of_arrow(array: "pa.Array") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if is_text(kind):
        array = array.dictionary_encode()  # equal texts are read once
    if isinstance(array, pa.DictionaryArray):
        own, is_bad = _of_arrow(array.dictionary) if not is_text(array.dictionary.type) else _of_arrow_texts(array)
        places = pc.fill_null(pc.cast(array.indices, pa.int64()), len(own)).to_numpy(zero_copy_only=False)
        return np.append(own, np.nan)[places], np.append(is_bad, False)[places]
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan), np.zeros(len(array), dtype=np.bool_)
    width, per_day = (pa.int32(), 1) if pa.types.is_date32(kind) else (pa.int64(), PER_DAY[getattr(kind, "unit", "ms")])
    counted = pc.cast(array, width).to_numpy(zero_copy_only=False)  # float64 with NaN where there are nulls
    return counted / per_day, np.zeros(len(array), dtype=np.bool_)


def _of_arrow_texts(array: "pa.DictionaryArray") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return _of_objects(np.array([*array.dictionary.to_pylist(), None], dtype=object)[:-1])


def _of_datetimes(values: NDArray[np.datetime64]) -> NDArray[np.float64]:
    unit, count = np.datetime_data(values.dtype)
    if unit not in PER_DAY:  # years, months and weeks
        values, unit, count = values.astype("M8[D]"), "D", 1
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) / (PER_DAY[unit] / count))


def _of_objects(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    found, is_bad = np.full(len(values), np.nan), np.zeros(len(values), dtype=np.bool_)
    known: dict[str, float | None] = {}
    for i, value in enumerate(values):
        if is_missing(value):
            continue
        if isinstance(value, str):
            if not value.strip():
                continue
            if value not in known:
                known[value] = parse_day(value)
            day = known[value]
            is_bad[i] = day is None
            found[i] = np.nan if day is None else day
        elif isinstance(value, np.datetime64):
            found[i] = _of_datetimes(np.array([value]))[0]
        elif isinstance(value, dt.date):
            found[i] = _day_of(value)
        else:
            raise OtherTypeError(type(value).__name__)
    return found, is_bad


def _day_of(value: dt.date) -> float:
    if not isinstance(value, dt.datetime):
        return float(value.toordinal() - EPOCH.toordinal())
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return (value - EPOCH) / dt.timedelta(days=1)
