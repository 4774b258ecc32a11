"""INT96 times against Python's own, whatever they are nested in."""

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.runtime.errors import ColumnError
from whyport.runtime.inputs.int96 import UNITS, Int96Needs, int96_columns

FAR, NEAR, FINE = (
    dt.datetime(9999, 12, 31),
    dt.datetime(2024, 6, 1, 1, 2, 3, 456789),
    pd.Timestamp("2024-06-01 00:00:00.000000001"),
)
NESTED = {
    "plain": lambda value: value,
    "list": lambda value: [None, value],
    "struct": lambda value: {"t": value, "other": NEAR},
    "map": lambda value: [("k", value)],
    "deep": lambda value: [{"t": [value]}],
}
KINDS = {
    "plain": lambda time: time,
    "list": pa.list_,
    "struct": lambda time: pa.struct([("t", time), ("other", pa.timestamp("us"))]),
    "map": lambda time: pa.map_(pa.string(), time),
    "deep": lambda time: pa.list_(pa.struct([("t", pa.list_(time))])),
}


def written(values: list[Any], nesting: str, unit: str) -> pa.NativeFile:
    kind = KINDS[nesting](pa.timestamp(unit))
    array = pa.array([None, *map(NESTED[nesting], values)], kind)
    sink = pa.BufferOutputStream()
    table = pa.table({"x": array, "number": range(len(array))})
    pq.write_table(table, sink, use_deprecated_int96_timestamps=True, store_schema=False)
    return pa.BufferReader(sink.getvalue())


def needs(file: pa.NativeFile) -> Int96Needs:
    tables = [pq.ParquetFile(file, coerce_int96_timestamp_unit=unit).read() for unit in UNITS]
    return Int96Needs.of(["x"], tables)


@pytest.mark.parametrize("nesting", NESTED)
def test_what_values_need(nesting: str) -> None:
    assert needs(written([NEAR], nesting, "us")) == Int96Needs()
    far = needs(written([NEAR, FAR], nesting, "us"))
    assert (far.unit, far) == ("us", Int96Needs(range=frozenset("x")))
    fine = needs(written([FINE], nesting, "ns"))
    assert (fine.unit, fine) == ("ns", Int96Needs(nanoseconds=frozenset("x")))
    with pytest.raises(
        ColumnError, match="outside 1677 to 2262 in column 'x', and times with nanoseconds in column 'x'"
    ):
        _ = (far | fine).unit


@pytest.mark.parametrize("nesting", NESTED)
def test_columns_are_known_by_what_is_in_the_file(nesting: str) -> None:
    file = written([NEAR], nesting, "us")
    assert int96_columns(file, pq.read_metadata(file)) == {"x"}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": pa.array([NEAR], pa.timestamp("us"))}), sink)
    other = pa.BufferReader(sink.getvalue())
    assert int96_columns(other, pq.read_metadata(other)) == set()


@pytest.mark.parametrize("year", [1, 1600, 1677, 1970, 2262, 9999])
def test_the_unit_holds_the_time(year: int) -> None:
    time = dt.datetime(year, 12, 31, 23, 59, 59, 999999)
    file = written([time], "plain", "us")
    unit = needs(file).unit
    (_, got) = pq.ParquetFile(file, coerce_int96_timestamp_unit=unit).read()["x"].cast(pa.timestamp("us")).to_pylist()
    assert got == time


def test_a_time_that_nothing_holds_is_refused() -> None:
    file = written([dt.datetime(1970, 1, 1)], "plain", "us")
    content = bytearray(file.getvalue() if hasattr(file, "getvalue") else file.read())
    day = (2440588).to_bytes(4, "little")  # the Julian day of 1970-01-01
    assert content.count(day)
    content = content.replace(day, b"\xff\xff\xff\xff")
    with pytest.raises(ColumnError, match="more than 292 000 years from 1970"):
        needs(pa.BufferReader(bytes(content)))
