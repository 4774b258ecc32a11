"""Lists of varying length become cells, 0 beyond the last step, and the number of steps."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whyport.runtime.bundle.columns import LIST, REFUSE, Channel, Column, NumberStatistics
from whyport.runtime.bundle.inputs import Axis, Input, SequencePreparation
from whyport.runtime.bundle.row import features_of, lengths_of, sources_of
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ColumnError, MissingValueError
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.inputs.table import Columns

STATISTICS = NumberStatistics(-9.0, 9.0, 0.0, 1.0, 0.0, (0.0,), (0.5, 0.5))


def column(name: str, width: int) -> Column:
    channels = tuple(Channel(str(k), STATISTICS) for k in range(width)) if width > 1 else ()
    return Column(name, LIST, None, REFUSE, None, 0.0, None if channels else STATISTICS, None, channels)


def sequence(*columns: Column, width: int, masked: bool = True, buckets: tuple[int, ...] = (2, 4)) -> Input:
    shape = ("N", buckets[-1], width)
    mask = (TensorSpec("x_mask", "uint8", shape[:2]),) if masked else ()
    return Input(
        "x",
        columns,
        SequencePreparation("sequence", None, buckets, True),
        (TensorSpec("x", "float32", shape), *mask),
        (Axis("time", buckets[-1], None), Axis("feature", width, None)),
    )


PAIRS = sequence(column("x", 2), width=2)
GIVEN: list[Any] = [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]]
EXPECTED = [[1, 2, 0, 0, 0, 0, 0, 0, 1], [3, 4, 5, 6, 7, 8, 0, 0, 3]]


@pytest.mark.parametrize(
    "rows",
    [
        pa.table({"x": pa.array(GIVEN)}),
        pa.table({"x": pa.array(GIVEN, pa.large_list(pa.list_(pa.float32(), 2)))}),
        pa.table({"x": pa.array([[1.0, 2.0], [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]])}),
        pa.table({"x": pa.chunked_array([pa.array(GIVEN[:1]), pa.array(GIVEN[1:])])}),
        pa.table({"x": pa.array([None, *GIVEN])}).slice(1),
        [{"x": value} for value in GIVEN],
        [{"x": np.array(value)} for value in GIVEN],
    ],
)
def test_every_form_of_lists_gives_the_same_row(rows: Any) -> None:
    encoded = Columns.of_inputs((PAIRS,)).encode(rows)
    np.testing.assert_array_equal(encoded.matrix, np.array(EXPECTED, dtype=np.float32))


def test_the_row_has_a_feature_for_its_number_of_steps_behind_the_cells() -> None:
    (length,) = lengths_of((PAIRS,))
    features = features_of(sources_of((PAIRS,)))
    assert (length.start, length.place, length.steps, length.width) == (0, 8, 4, 2)
    assert [feature.name for feature in features][-2:] == ["x[3].1", "x[length]"]


def test_the_model_is_given_values_and_a_mask() -> None:
    feeds = input_feeds((PAIRS,), np.array(EXPECTED, dtype=np.float32))
    assert feeds["x"].shape == (2, 4, 2)
    assert feeds["x_mask"].tolist() == [[1, 0, 0, 0], [1, 1, 1, 0]]
    assert feeds["x_mask"].dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "expected a list of 1 to 4 steps of 2 numbers, got null"),
        ([], "expected a list of 1 to 4 steps of 2 numbers, got 0"),
        ([[1.0, 2.0]] * 5, "expected a list of 1 to 4 steps of 2 numbers, got 5"),
        ([[1.0, 2.0], [3.0]], "got 1 numbers at step 1"),
        ([[1.0, 2.0], None], "got null at step 1"),
        ([[1.0, 2.0], [3.0, float("nan")]], r"expected a finite number at \[1\].1, got NaN"),
        ([[1.0, 2.0], [3.0, None]], r"expected a finite number at \[1\].1, got null"),
        ([[1.0, float("inf")]], r"expected a finite number at \[0\].1, got infinity"),
    ],
)
def test_a_list_that_does_not_fit_says_why(value: Any, reason: str) -> None:
    columns = Columns.of_inputs((PAIRS,))
    table = pa.table({"x": pa.array([GIVEN[0], value], pa.list_(pa.list_(pa.float64())))})
    matrix = columns.encode(table).matrix
    assert np.isfinite(matrix).all(axis=1).tolist() == [True, False]
    with pytest.raises(MissingValueError, match=reason):
        columns.check_cells(table, matrix)


def test_without_a_mask_a_row_has_the_steps_of_a_bucket() -> None:
    columns = Columns.of_inputs((sequence(column("x", 2), width=2, masked=False),))
    table = pa.table({"x": pa.array([[[1.0, 2.0]] * count for count in (1, 2, 3, 4)])})
    matrix = columns.encode(table).matrix
    assert np.isfinite(matrix).all(axis=1).tolist() == [False, True, False, True]
    with pytest.raises(MissingValueError, match="row 0: expected a list of 2 or 4 steps of 2 numbers, got 1"):
        columns.check_cells(table, matrix)


def test_the_columns_of_one_input_have_as_many_steps() -> None:
    both = sequence(column("a", 1), column("b", 1), width=2)
    columns = Columns.of_inputs((both,))
    table = pa.table({"a": pa.array([[1.0, 2.0], [3.0]]), "b": pa.array([[5.0, 6.0], [7.0, 8.0]])})
    matrix = columns.encode(table).matrix
    assert matrix[0].tolist() == [1, 5, 2, 6, 0, 0, 0, 0, 2]
    assert not np.isfinite(matrix[1]).all()
    with pytest.raises(MissingValueError, match="row 1: expected as many steps in every column of 'x', got 1 here"):
        columns.check_cells(table, matrix)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["1.5", "2.5"], "got '1.5'"),
        (["aa", "bb"], "got 'aa'"),
        ([["1.5", "2.5"]], "got '1.5'"),
        ([[1.0, 2.0], 3.0], "got 3.0 at step 1"),
    ],
)
def test_texts_and_ragged_lists_are_no_numbers(value: Any, reason: str) -> None:
    columns = Columns.of_inputs((PAIRS,))
    rows = [{"x": GIVEN[0]}, {"x": value}]
    matrix = columns.encode(rows).matrix
    with pytest.raises(MissingValueError, match=f"row 1: expected a list .*{reason}"):
        columns.check_cells(rows, matrix)


def test_an_array_without_rows_is_no_rows() -> None:
    columns = Columns.of_inputs((PAIRS,))
    assert columns.encode({"x": np.zeros((0, 4, 2))}).matrix.shape == (0, 9)


def test_an_array_of_more_axes_is_refused() -> None:
    with pytest.raises(ColumnError, match="not a list of numbers a row"):
        Columns.of_inputs((PAIRS,)).encode({"x": np.zeros((3, 1, 2, 2))})


def test_the_column_that_lacks_its_list_is_named() -> None:
    columns = Columns.of_inputs((sequence(column("a", 1), column("b", 1), width=2),))
    table = pa.table({"a": pa.array([[1.0, 2.0]]), "b": pa.array([None], pa.list_(pa.float64()))})
    with pytest.raises(MissingValueError, match="column 'b', row 0: .* got null"):
        columns.check_cells(table, columns.encode(table).matrix)
