import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from support.columns import STATISTICS, category_column, number_column, time_column
from whyport.runtime.errors import ColumnError, ValueRangeError
from whyport.runtime.inputs.table import Columns, column_arrays

NAMES = ("a", "b", "c")
FEATURES = [number_column(name) for name in NAMES]
COLUMNS = Columns.of(FEATURES)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "int64", "float16", "float32", "float64", "bool"])
def test_every_numeric_type_becomes_float32(dtype: str) -> None:
    column = np.array([0, 1, 1], dtype=dtype)
    matrix = COLUMNS.matrix([column, column, column])
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [1, 1, 1], [1, 1, 1]])


def test_values_are_rounded_to_the_nearest_float32() -> None:
    column = np.array([0.1, 1 / 3])
    np.testing.assert_array_equal(COLUMNS.matrix([column] * 3)[:, 0], column.astype(np.float32))


def test_missing_and_infinite_values_pass() -> None:
    column = np.array([np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(COLUMNS.matrix([column] * 3)[:, 1], column.astype(np.float32))


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_an_overflow_is_refused_with_column_and_row(value: float) -> None:
    good, bad = np.zeros(4), np.array([0.0, np.inf, value, 0.0])
    with pytest.raises(ValueRangeError, match=r"column 'b', row 1002: expected a value within float32's range"):
        COLUMNS.matrix([good, bad, good], first_row=1000)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_a_time_stamp_is_too_coarse_against_its_spread(dtype: type) -> None:
    day = number_column("b", statistics=replace(STATISTICS, mean=1.7e9, standard_deviation=25_000.0))
    columns = Columns.of([FEATURES[0], day, FEATURES[2]])
    zeros, stamps = np.zeros(2), np.array([0, 1_700_000_001], dtype=dtype)
    with pytest.raises(
        ValueRangeError, match=r"column 'b', row 1: float32 is too coarse for 17000000\d\d.*spacing .* 128"
    ):
        columns.matrix([zeros, stamps, zeros])


@pytest.mark.parametrize("spread", [1e-6, 0.37, 1.0, 25_000.0])
def test_the_limit_is_where_the_spacing_passes_a_thousandth_of_the_spread(spread: float) -> None:
    limit = Columns.of([number_column("a", statistics=replace(STATISTICS, standard_deviation=spread))]).limits[0]
    assert np.spacing(limit) > spread / 1000
    assert np.spacing(np.nextafter(limit, np.float32(0))) <= spread / 1000


def test_a_feature_that_was_constant_in_training_has_no_limit() -> None:
    columns = Columns.of([number_column("a", statistics=replace(STATISTICS, standard_deviation=0.0))])
    np.testing.assert_array_equal(columns.matrix([np.array([1e30])]), np.array([[1e30]], dtype=np.float32))


FRAME = {"c": [5, 6], "a": [1, 2], "b": [3.5, 4.5], "other": ["x", "y"]}


@pytest.mark.parametrize(
    "rows",
    [
        {name: np.array(values) for name, values in FRAME.items()},
        pd.DataFrame(FRAME),
        pd.DataFrame(FRAME).astype({"a": "Int64", "b": "Float32"}),
        pl.DataFrame(FRAME),
        pa.table(FRAME),
        np.array([[1, 3.5, 5], [2, 4.5, 6]]),
    ],
    ids=["mapping", "pandas", "pandas nullable", "polars", "arrow", "array"],
)
def test_columns_are_found_by_name_in_any_frame(rows: object) -> None:
    np.testing.assert_array_equal(COLUMNS.matrix(column_arrays(rows, NAMES)), [[1, 3.5, 5], [2, 4.5, 6]])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([True, None, False], dtype="boolean"),
        pl.Series([1, None, 0]),
        pl.Series([True, None, False]),
        pa.chunked_array([[1, None, 0]]),
        pa.chunked_array([[True, None, False]]),
        [1, None, 0],
    ],
    ids=["Int64", "boolean", "polars", "polars boolean", "arrow", "arrow boolean", "list"],
)
def test_a_null_is_nan(column: object) -> None:
    (array,) = column_arrays({"a": column}, ("a",))
    np.testing.assert_array_equal(np.asarray(array, dtype=np.float32), [1, np.nan, 0])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1.0], "b": [1.0]}, r"^missing feature columns: c \(1 of 3\); the data has: a, b$"),
        (
            {"a": ["x"], "d": [1.0]},
            r"^missing feature columns: b, c \(2 of 3\); columns that are not one number a row: a \(1 of 1; ",
        ),
        ({"a": ["1"], "b": [1.0], "c": [[1.0], [2.0, 3.0]]}, r": a, c \(2 of 3; <U1, lists of different lengths\); "),
        (pa.table([[1.0], [2.0], [1.0], [1.0]], names=["a", "b", "c", "b"]), r"once: b \(1 of 3; 2 times\)"),
        ({"a": [1.0], "b": [1.0, 2.0], "c": []}, r"of 1 values, as 'a' is: b, c \(2 of 3; 2 values, 0 values\)"),
        ({"a": [1.0], "b": ["1.0"], "c": [1.0]}, r"not one number a row: b \(1 of 3; <U3\)"),
        (pd.DataFrame({"a": [1.0], "b": ["1.0"], "c": [1.0]}), r"not one number a row: b \(1 of 3; "),
        ({"a": [1.0], "b": np.array(["2026-01-01"], dtype="M8[s]"), "c": [1.0]}, r": b \(1 of 3; datetime64"),
        ({"a": [1.0], "b": [1.0, 2.0], "c": [1.0]}, r"of 1 values, as 'a' is: b \(1 of 3; 2 values\)"),
        ({"a": [[1.0]], "b": [1.0], "c": [1.0]}, r"not one number a row: a \(1 of 3; shape \[1, 1\]\)"),
        (np.zeros((2, 4)), r"expected an array of shape \[N, 3\], got \[2, 4\]"),
        (np.zeros(3), r"expected an array of shape \[N, 3\], got \[3\]"),
        (np.array([["x", "y", "z"]]), r"not one number a row: a, b, c \(3 of 3; <U1\)"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(rows: object, message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        column_arrays(rows, NAMES)


@pytest.mark.parametrize("rows", [1, 681, 682, 683, 1364, 3000])
@pytest.mark.parametrize("value", [1e39, -1e39, 1e30, np.nan, np.inf, -np.inf])
def test_one_value_among_many_rows_is_found_wherever_it_stands(rows: int, value: float) -> None:
    generator = np.random.default_rng(0)
    good = generator.normal(size=(rows, 3))
    matrix = np.empty((rows, 3), dtype=np.float32)
    assert COLUMNS.round_into(matrix, good)
    for row in {0, rows // 2, rows - 1}:
        for j in range(3):
            bad = good.copy()
            bad[row, j] = value
            if np.isfinite(value):
                with pytest.raises(ValueRangeError, match=f"column '{NAMES[j]}', row {row + 7}: "):
                    COLUMNS.round_into(matrix, bad, first_row=7)
            else:
                assert not COLUMNS.round_into(matrix, bad)
                np.testing.assert_array_equal(matrix, bad.astype(np.float32))


def test_no_rows_are_fine() -> None:
    assert COLUMNS.matrix([np.zeros(0)] * 3).shape == (0, 3)


def test_a_list_of_dictionaries_is_rows() -> None:
    rows = [{"c": 3, "a": 1.5, "b": None, "id": "x"}, {"a": True, "b": np.float32(2), "c": -1}]
    got = np.column_stack(column_arrays(rows, NAMES))
    np.testing.assert_array_equal(got, [[1.5, np.nan, 3], [1, 2, -1]])
    assert [len(column) for column in column_arrays([], NAMES)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}], r"row 1: missing features: b \(1 of 3\); the row has: a, c$"),
        ([{"a": 1, "b": 2, "c": 3}, [1, 2, 3]], "row 1: expected a dictionary from feature to value, got list"),
        ([{"a": "x", "b": 2, "c": 3}], r"not one number a row: a \(1 of 3; "),
    ],
)
def test_dictionaries_that_do_not_fit_are_refused(rows: list[object], message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        column_arrays(rows, NAMES)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (np.datetime64("2020"), ColumnError),
        (np.timedelta64(3, "D"), ColumnError),
        (np.str_("17.2"), ColumnError),
        (np.complex64(3 + 2j), ColumnError),
        (np.void(b"1"), ColumnError),
        ([1, 2], ColumnError),
        (10**400, ValueRangeError),
    ],
)
@pytest.mark.parametrize("other", [None, 1.0])
def test_what_is_no_number_never_becomes_one(value: object, error: type[Exception], other: float | None) -> None:
    rows = [{"a": value, "b": 0, "c": 0}, {"a": other, "b": 0, "c": 0}]
    with pytest.raises(error, match=r"not one number a row: a \(1 of 3; |column 'a': expected"):
        COLUMNS.matrix(column_arrays(rows, NAMES))


MIXED = Columns.of(
    [
        number_column("age"),
        category_column("region", ("north", "south")),
        time_column("since"),
        category_column("member", ("false", "true"), "boolean"),
    ]
)
RAW: dict[str, list[Any]] = {
    "member": [True, None, False],
    "since": [dt.date(2020, 1, 1), dt.date(2021, 1, 1), None],
    "region": ["south", "west", None],
    "age": [1.5, None, 3],
}


@pytest.mark.parametrize(
    "rows",
    [
        RAW,
        [dict(zip(RAW, values, strict=True)) for values in zip(*RAW.values(), strict=True)],
        pd.DataFrame(RAW),
        pd.DataFrame(RAW).convert_dtypes(),
        pd.DataFrame(RAW).astype({"region": "category", "since": "datetime64[s]"}),
        pl.DataFrame(RAW),
        pa.table(RAW),
        pa.table(RAW).slice(0),
        np.array([RAW[name] for name in ("age", "region", "since", "member")], dtype=object).T,
    ],
    ids=["mapping", "rows", "pandas", "pandas nullable", "pandas types", "polars", "arrow", "slice", "objects"],
)
def test_every_kind_of_table_gives_the_same_row(rows: object) -> None:
    encoded = MIXED.encode(rows)
    np.testing.assert_array_equal(encoded.matrix, [[1.5, 1, 18262, 1], [np.nan, 2, 18628, 3], [3, 3, np.nan, 0]])
    assert encoded.matrix.dtype == np.float32
    assert encoded.unseen.counts == {"region": 1}


def test_whole_days_are_never_too_coarse() -> None:
    columns = Columns.of([time_column("since", statistics=replace(STATISTICS, mean=18262.0, standard_deviation=0.4))])
    dates = [dt.date(2020, 1, 1), dt.date(9999, 12, 31), dt.datetime(2020, 1, 1, 12)]
    np.testing.assert_array_equal(columns.encode({"since": dates}).matrix[:, 0], [18262, 2932896, 18262.5])
    with pytest.raises(ValueRangeError, match="column 'since', row 0: float32 is too coarse for 18262.423"):
        columns.encode({"since": [dt.datetime(2020, 1, 1, 10, 9, 8)]})


def test_what_training_has_not_seen_is_counted_by_column() -> None:
    rows = RAW | {"since": ["2020-01-01", "2020-02-30", "never"], "member": ["true", 2, 1]}
    encoded = MIXED.encode(rows)
    np.testing.assert_array_equal(encoded.matrix[:, 2:], [[18262, 2], [np.nan, 2], [np.nan, 1]])
    assert encoded.unseen.counts == {"region": 1, "since": 2, "member": 2}
    np.testing.assert_array_equal(encoded.unseen.any_rows, [0, 1, 2])
    assert encoded.unseen.text(9) == (
        "values that training has not seen, in 3 of 9 rows: column 'region' 1, column 'since' 2, column 'member' 2"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": ["x", "y", "z"]}, r"not one number a row: age \(1 of 4; "),
        ({"since": np.array([18262.0, 1, 2])}, r"columns that are not dates, times or text: since \(1 of 4; float64\)"),
        ({"since": pa.array([[1], [2], [3]])}, r"dates, times or text: since \(1 of 4; list"),
        ({"region": ["north"]}, r"columns that are not of 3 values, as 'age' is: region \(1 of 4; 1 values\)"),
    ],
)
def test_columns_that_no_model_can_read_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        MIXED.encode(RAW | changes)
