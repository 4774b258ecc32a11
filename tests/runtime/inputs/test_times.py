"""Dates and times as days since 1970-01-01: every source gives the same, and no impossible date is guessed."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.times import days

NOON = dt.datetime(2024, 2, 29, 12)
"""19782.5 days after 1970-01-01 00:00."""
WEST = dt.timezone(dt.timedelta(hours=-6))


def test_the_calendar() -> None:
    found, is_bad = days([NOON, NOON.date(), dt.date(1969, 12, 31), dt.date(1, 1, 1), None])
    np.testing.assert_array_equal(found, [19782.5, 19782, -1, -719162, np.nan])
    assert not is_bad.any()


MOMENTS = st.lists(
    st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1)).map(lambda t: t.replace(microsecond=0))
)


def zoned(values: list[Any]) -> list[Any]:
    """The same moments, told in another zone."""
    return [None if value is None else value.replace(tzinfo=dt.UTC).astimezone(WEST) for value in values]


SOURCES = {
    "numpy": lambda values: np.array([*values, None], dtype="M8[us]")[:-1],
    "numpy in nanoseconds": lambda values: np.array([*values, None], dtype="M8[ns]")[:-1],
    "zones": zoned,
    "texts": lambda values: [None if value is None else value.isoformat() for value in values],
    "texts of zones": lambda values: [None if value is None else str(value) for value in zoned(values)],
    "pandas": lambda values: pd.Series(values, dtype="M8[us]"),
    "pandas of a zone": lambda values: (
        pd.Series(values, dtype="M8[us]").dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    ),
    "polars": lambda values: pl.Series(values, dtype=pl.Datetime("ms")),
    "polars of a zone": lambda values: pl.Series(zoned(values), dtype=pl.Datetime("us", "America/Lima")),
    "Arrow": lambda values: pa.array(values, pa.timestamp("s")),
    "Arrow in nanoseconds": lambda values: pa.array(values, pa.timestamp("ns")),
    "Arrow of a zone": lambda values: pa.array(zoned(values), pa.timestamp("us", "Africa/Lagos")),
    "Arrow texts": lambda values: pa.array([None if v is None else v.isoformat() for v in values], pa.string()),
    "Arrow chunks": lambda values: pa.chunked_array([pa.array(values, pa.timestamp("us"))] * 1),
    "Arrow dictionary": lambda values: pa.array(values, pa.timestamp("us")).dictionary_encode(),
}


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=20, deadline=None)
@given(values=MOMENTS)
def test_every_source_of_times_gives_the_same_days(source: str, values: list[Any]) -> None:
    found, is_bad = days(SOURCES[source](values))
    epoch = dt.datetime(1970, 1, 1)
    expected = [np.nan if value is None else (value - epoch) / dt.timedelta(days=1) for value in values]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert not is_bad.any()


@pytest.mark.parametrize(
    "column",
    [
        [dt.date(2024, 2, 29), None],
        np.array(["2024-02-29", "NaT"], dtype="M8[D]"),
        pd.Series([dt.date(2024, 2, 29), None]),
        pl.Series([dt.date(2024, 2, 29), None]),
        pa.array([dt.date(2024, 2, 29), None], pa.date32()),
        pa.array([dt.date(2024, 2, 29), None], pa.date64()),
        pa.array([dt.date(2024, 2, 29), None], pa.date32()).dictionary_encode(),
        ["2024-02-29", ""],
        pa.array(["2024-02-29", " "]).dictionary_encode(),
    ],
)
def test_dates_are_whole_days(column: Any) -> None:
    np.testing.assert_array_equal(days(column)[0], [19782, np.nan])


@pytest.mark.parametrize("make", [list, pa.array, lambda texts: pa.array(texts).dictionary_encode(), pl.Series])
def test_texts_that_are_no_dates_are_missing_and_told(make: Any) -> None:
    texts = ["2024-02-30", "2024-02-29", None, "yesterday", "31.12.2023", "2023-02-29", "2024-02-30", ""]
    found, is_bad = days(make(texts))
    np.testing.assert_array_equal(found, [np.nan, 19782, *[np.nan] * 6])
    np.testing.assert_array_equal(is_bad, [True, False, False, True, True, True, True, False])


def test_months_and_weeks_of_numpy() -> None:
    np.testing.assert_array_equal(days(np.array(["2024-02", "NaT"], dtype="M8[M]"))[0], [19754, np.nan])
    np.testing.assert_array_equal(days(np.array([36], dtype="M8[2h]"))[0], [3])


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1, 2]), "int64"),
        (pa.array([[1]]), "list"),
        (pa.array([3], pa.duration("s")), "duration"),
        (np.array([19782.0]), "float64"),
        (np.array([True]), "bool"),
        ([19782], "int"),
        (["2024-02-29", 1.5], "float"),
    ],
)
def test_what_is_no_time_never_becomes_one(column: Any, kind: str) -> None:
    with pytest.raises(OtherTypeError, match=kind):
        days(column)


def test_columns_without_values_are_missing() -> None:
    assert np.isnan(days(pa.nulls(2))[0]).all()
    assert len(days(pa.chunked_array([], pa.date32()))[0]) == 0


ISO_TEXTS = [
    *("2024-02-29", "20240229", " 2024-02-29 ", "0024-02-29", "9999-12-31", "2024-02-29T18", "2024-02-29 18:30"),
    *("2024-02-29T18:30:15Z", "20240229T183015.25", "2024-02-29T18:30:15,5", "2024-02-29 18:30:15.125 +02:00"),
    *("2024-02-29T18:30-0330", "2024-02-29T18:30+14"),
]
OTHER_TEXTS = [
    *("2024-W09-4", "2024-0229", "202402-29", "0000-01-01", "2024-02-29x18:30", "2024-02-29T24:00", "2024-02-29T18:60"),
    *(
        "2024-02-29T18:30:60",
        "2024-02-29T1830:15",
        "2024-02-29T18:30+25",
        "2024-02-29t18:30",
        "2024-2-29",
        "29.02.2024",
    ),
    *(
        "2024-02-29T",
        "2024-02-29Z",
        "\N{ARABIC-INDIC DIGIT TWO}024-02-29",
        "2024-02-30",
        "24-02-29",
        "2024-02-29T18:30+02:75",
    ),
]


def test_the_texts_that_are_times() -> None:
    found, is_bad = days([*ISO_TEXTS, *OTHER_TEXTS])
    assert is_bad.tolist() == [False] * len(ISO_TEXTS) + [True] * len(OTHER_TEXTS)
    hours = [18, 18.5, 18 + 1815 / 3600, 18 + 1815.25 / 3600, 18 + 1815.5 / 3600, 16 + 1815.125 / 3600, 22, 4.5]
    whole = [19782, 19782, 19782, 19782 - 5 * 146097, 2932896, *[19782] * 8]
    expected = np.array(whole) + np.array([*[0] * 5, *hours]) / 24
    np.testing.assert_allclose(found[: len(ISO_TEXTS)], expected, rtol=1e-14)
