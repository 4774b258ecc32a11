"""Codes of categories: every source of the same values gives the same codes, and a value's type counts."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.columns import category_column
from whyport.runtime.bundle.columns import Categories
from whyport.runtime.inputs.categories import CategoryCodes, category_text, category_type
from whyport.runtime.inputs.numbers import OtherTypeError


def categories(*values: str, kind: str = "text") -> Categories:
    found = category_column("c", values, kind).categories
    assert found is not None
    return found


COLOURS = categories("red", "blue", "1")
OTHER, MISSING = COLOURS.other_code, COLOURS.missing_code

TEXTS = st.lists(st.sampled_from(["red", "blue", "1", "green", "Red", " red", "", None, "\N{LATIN SMALL LETTER E}"]))


def expected(values: list[Any]) -> list[int]:
    """The codes by the definition, one value after the other."""
    return [
        MISSING if value in (None, "") else COLOURS.values.index(value) if value in COLOURS.values else OTHER
        for value in values
    ]


def chunked(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    middle = len(values) // 2
    return pa.chunked_array([pa.array(part, kind) for part in (values[:middle], values[middle:])], kind)


TEXT_SOURCES = {
    "list": list,
    "objects": lambda values: np.array([*values, None], dtype=object)[:-1],
    "with NaN": lambda values: [np.nan if value is None else value for value in values],
    "pandas objects": lambda values: pd.Series(values, dtype=object),
    "pandas str": lambda values: pd.Series(values, dtype="str"),
    "pandas string": lambda values: pd.Series(values, dtype="string"),
    "pandas categorical": lambda values: pd.Series(values, dtype="category"),
    "pandas of Arrow": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.string())),
    "polars": lambda values: pl.Series(values, dtype=pl.String),
    "polars categorical": lambda values: pl.Series(values, dtype=pl.Categorical),
    "Arrow": lambda values: pa.array(values, pa.string()),
    "Arrow large": lambda values: pa.array(values, pa.large_string()),
    "Arrow view": lambda values: pa.array(values, pa.string_view()),
    "Arrow chunks": lambda values: chunked(values, pa.string()),
    "Arrow dictionary": lambda values: chunked(values, pa.dictionary(pa.int8(), pa.string())),
}


@pytest.mark.parametrize("source", TEXT_SOURCES)
@settings(max_examples=20, deadline=None)
@given(values=TEXTS)
def test_every_source_of_texts_gives_the_same_codes(source: str, values: list[Any]) -> None:
    np.testing.assert_array_equal(CategoryCodes(COLOURS).codes(TEXT_SOURCES[source](values)), expected(values))


def test_numpys_own_texts() -> None:
    np.testing.assert_array_equal(CategoryCodes(COLOURS).codes(np.array(["blue", "", "x"])), [1, MISSING, OTHER])


@pytest.mark.parametrize(
    "column",
    [
        [1, 3.0, 2, None, 0.1, 2**24 + 1, True, "1", Decimal(1), 1 + 0j, 10**400],
        np.array([1, 3.0, 2, np.nan, 0.1, 2**24 + 1, True, "1", Decimal(1), 1 + 0j, 10**400], dtype=object),
        pd.Series([1, 3.0, 2, pd.NA, 0.1, 2**24 + 1, True, "1", Decimal(1), 1 + 0j, 10**400], dtype=object),
    ],
)
def test_a_value_of_another_type_is_no_category(column: Any) -> None:
    numbers = categories("1", "3", "0.1", str(2**24), kind="number")
    np.testing.assert_array_equal(CategoryCodes(numbers).codes(column), [0, 1, 4, 5, 2, 4, 4, 4, 0, 4, 4])


@pytest.mark.parametrize(
    "column",
    [
        np.array([7, 1, 9], dtype=np.uint8),
        np.array([7, 1, 9], dtype=np.float32),
        pd.Series([7, 1, 9], dtype="Int16"),
        pd.Series([7, 1, 9], dtype="category"),
        pl.Series([7, 1, 9]),
        pa.array([7, 1, 9]),
        pa.array([7, 1, 9], pa.float32()),
        pa.array([Decimal(7), Decimal(1), Decimal(9)], pa.decimal128(5, 2)),
        pa.array([7, 1, 9]).dictionary_encode(),
    ],
)
def test_numbers_of_every_type_are_one_type(column: Any) -> None:
    np.testing.assert_array_equal(CategoryCodes(categories("1", "7", kind="number")).codes(column), [1, 0, 2])


def test_a_fraction_is_known_in_float32_too() -> None:
    codes = CategoryCodes(categories("0.1", kind="number"))
    np.testing.assert_array_equal(codes.codes(np.array([0.1, np.float64(np.float32(0.1)), 0.1001])), [0, 0, 1])
    np.testing.assert_array_equal(codes.codes(np.array([0.1], dtype=np.float32)), [0])
    np.testing.assert_array_equal(codes.codes(np.array([np.inf, -np.inf, 1e300])), [1, 1, 1])
    of_float32 = CategoryCodes(categories(category_text(float(np.float32(0.1))), str(2**24), kind="number"))
    np.testing.assert_array_equal(of_float32.codes(np.array([0.1, 2**24, 2**24 + 0.5, 2**24 + 1])), [0, 1, 2, 2])


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        (np.array([20000001, 20000000, 20000002]), [0, 1, 1]),
        (pa.array([20000001, 20000000, None], pa.int64()), [0, 1, 2]),
        ([20000001, 20000000.0, np.float32(20000001)], [0, 1, 0]),
        (np.array([20000001, 20000002], dtype=np.float32), [0, 1]),
        (pa.array([2.0**25, 20000000.0], pa.float32()), [1, 0]),
    ],
)
def test_whole_numbers_are_known_exactly_where_the_column_holds_them(column: Any, codes: list[int]) -> None:
    np.testing.assert_array_equal(CategoryCodes(categories("20000001", kind="number")).codes(column), codes)


@pytest.mark.parametrize("kind", ["text", "number", "boolean"])
def test_what_is_not_one_value_a_row_is_refused(kind: str) -> None:
    known = {"text": ("red", "blue"), "number": ("1", "2"), "boolean": ("false", "true")}[kind]
    for column in (np.array([["red"], ["blue"]]), np.array([[1], [2]]), "red", 1, {"red"}):
        with pytest.raises(OtherTypeError, match="shape"):
            CategoryCodes(categories(*known, kind=kind)).codes(column)


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        ([True, False, None], [1, 0, 3]),
        ([1, 0, 2], [1, 0, 2]),
        (["true", "1", ""], [2, 2, 3]),
        (np.array([True, False]), [1, 0]),
        (np.array([1.0, np.nan, 0.5]), [1, 3, 2]),
        (pd.Series([True, None], dtype="boolean"), [1, 3]),
        (pl.Series([True, None]), [1, 3]),
        (pa.array([True, None, False]), [1, 3, 0]),
        (pa.array([1, 0, 5]), [1, 0, 2]),
        (pa.array(["true", ""]), [2, 3]),
    ],
)
def test_booleans_are_also_0_and_1(column: Any, codes: list[int]) -> None:
    np.testing.assert_array_equal(CategoryCodes(categories("false", "true", kind="boolean")).codes(column), codes)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None]),
        pa.array([True, False, None]),
        pa.array([[1], [2], None]),
        pa.array([0, 1, None], pa.date32()),
        pa.array([b"red", b"blue", None]),
        np.array([0, 1, np.nan]),
        np.array(["2024-01-01", "2024-01-02", "NaT"], dtype="M8[D]"),
        [["red"], {"red"}, None],
    ],
)
def test_a_column_of_another_type_is_unseen(column: Any) -> None:
    np.testing.assert_array_equal(CategoryCodes(COLOURS).codes(column), [OTHER, OTHER, MISSING])


def test_columns_without_values_are_missing() -> None:
    assert list(CategoryCodes(COLOURS).codes(pa.nulls(2))) == [MISSING, MISSING]
    assert list(CategoryCodes(COLOURS).codes(pa.chunked_array([], pa.string()))) == []
    assert list(CategoryCodes(categories(kind="number")).codes([1.0, None])) == [0, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (2**60 + 1, "1152921504606846977"),
        (np.int64(2**60 + 1), "1152921504606846977"),
        (3.0, "3"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (np.float32(0.5), "0.5"),
        (True, "true"),
        ("x", "x"),
    ],
)
def test_numbers_are_written_shortly(value: Any, text: str) -> None:
    assert category_text(value) == text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.string_view(), "text"),
        (pa.dictionary(pa.int8(), pa.string()), "text"),
        (pa.decimal128(5, 2), "number"),
        (pa.bool_(), "boolean"),
        (pa.null(), None),
        (pa.date32(), None),
    ],
)
def test_the_type_of_categories_that_a_column_can_hold(kind: pa.DataType, expected: str | None) -> None:
    assert category_type(kind) == expected
