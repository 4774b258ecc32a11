"""The reference rows: drawn from the training rows, or a table of the user's."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from support.columns import category_column
from whyport.exporter.data.background import BackgroundChoice, read_references
from whyport.exporter.data.statistics import describe_columns
from whyport.runtime.errors import ColumnError, DataError, MissingValueError, TrainingError, UsageError, ValueRangeError

ROWS = np.random.default_rng(0).normal(size=(150, 3)).astype(np.float32)
FEATURES = describe_columns(["a", "b", "weight of baby"], list(ROWS.T))
NAMES = [feature.name for feature in FEATURES]


@pytest.fixture(params=["table.csv", "table.parquet"])
def write(request, tmp_path):
    """Write columns as a CSV and as a Parquet file."""

    def write(columns):
        path, frame = tmp_path / request.param, pd.DataFrame(columns)
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
        return path

    return write


def columns(**changes):
    return dict(zip(NAMES, ROWS[:4].T, strict=True)) | changes


@pytest.mark.parametrize(("text", "count"), [(None, 100), ("1", 1), ("150", 150)])
def test_a_number_of_training_rows(text, count):
    drawn = BackgroundChoice.parse(text).take(FEATURES, ROWS, seed=7)
    assert len(np.unique(drawn.rows, axis=0)) == count
    assert (drawn.rows[:, None] == ROWS).all(axis=2).any(axis=1).all()
    np.testing.assert_array_equal(drawn.weights, np.full(count, 1 / count))


def test_the_draw_is_seeded():
    first, again, other = (BackgroundChoice(20).take(FEATURES, ROWS, seed).rows for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_by_default_few_rows_are_all_taken():
    np.testing.assert_array_equal(BackgroundChoice().take(FEATURES, ROWS[:7], seed=0).rows, ROWS[:7])


def test_more_rows_than_there_are():
    with pytest.raises(UsageError, match="expected at most 150, the training rows that can be references, got 151"):
        BackgroundChoice.parse("151").take(FEATURES, ROWS, seed=0)


@pytest.mark.parametrize("text", ["0", "-3"])
def test_fewer_rows_than_one(text):
    with pytest.raises(UsageError, match=f"--background: expected at least 1 row, got {text}"):
        BackgroundChoice.parse(text)


@pytest.mark.parametrize("text", ["", "many", "1.5", "rows.json"])
def test_neither_a_number_nor_a_table(text):
    with pytest.raises(UsageError, match=r"expected a number of rows or a file named \*\.csv or \*\.parquet, got "):
        BackgroundChoice.parse(text)


def test_a_table_by_name_with_weights(write):
    path = write({"id": list("wxyz"), "weight": [1, 0, 2, 5]} | dict(reversed(columns().items())))
    read = BackgroundChoice.parse(str(path)).take(FEATURES, ROWS, seed=0)
    np.testing.assert_allclose(read.rows, ROWS[:4], rtol=1e-6)
    np.testing.assert_allclose(read.weights, [0.125, 0, 0.25, 0.625])


def test_a_table_without_weights(write):
    np.testing.assert_array_equal(read_references(write(columns()), FEATURES).weights, np.full(4, 0.25))


def test_a_table_of_raw_values(write):
    features = [category_column("code", ("01", "1")), *FEATURES[:2]]
    path = write({"code": ["1", "01", None], "a": [0.5, 1, 2], "b": [1, 2, 3]})
    np.testing.assert_array_equal(read_references(path, features).rows, [[1, 0.5, 1], [0, 1, 2], [3, 2, 3]])


def test_a_reference_of_no_known_category(write):
    features = [category_column("code", ("x", "y")), *FEATURES[:2]]
    path = write({"code": ["x", "z"], "a": [0.5, 1], "b": [1, 2]})
    with pytest.raises(DataError, match="column 'code', row 1: expected one of the categories 'x', 'y', got 'z', in "):
        read_references(path, features)
    pooled = dataclasses.replace(features[0], categories=dataclasses.replace(features[0].categories, other=3))
    np.testing.assert_array_equal(read_references(path, [pooled, *FEATURES[:2]]).rows[:, 0], [0, 2])


def test_a_feature_called_weight_is_a_feature(write):
    features = (*FEATURES[:2], dataclasses.replace(FEATURES[2], name="weight"))
    path = write({"a": ROWS[:4, 0], "b": ROWS[:4, 1], "weight": [-1.0, 1.0, 2.0, 3.0]})
    read = read_references(path, features)
    np.testing.assert_array_equal(read.rows[:, 2], [-1, 1, 2, 3])
    np.testing.assert_array_equal(read.weights, np.full(4, 0.25))


def test_weights_whose_sum_overflows(write):
    read = read_references(write(columns(weight=[1.5e308, 1.5e308, 0, 0])), FEATURES)
    np.testing.assert_array_equal(read.weights, [0.5, 0.5, 0, 0])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"b": [1.0, 2.0, None, 3.0]}, MissingValueError, "column 'b', row 2: expected a finite value, got a missing"),
        ({"b": [1.0, 2.0, np.inf, 3.0]}, MissingValueError, "column 'b', row 2: expected a finite value, got inf"),
        ({"b": list("pqrs")}, ColumnError, "one number a row: b "),
        ({"b": [1.0, 2.0, 1e39, 3.0]}, ValueRangeError, "column 'b', row 2: expected a value within float32's range"),
        ({"weight": list("pqrs")}, ColumnError, "one number a row: weight "),
        ({"weight": [1.0, 2.0, 3.0, None]}, MissingValueError, "column 'weight', row 3: expected a finite value, got"),
        ({"weight": [1.0, np.inf, 3.0, 1.0]}, MissingValueError, "column 'weight', row 1: .* got inf"),
        ({"weight": [1, 2, -1, 3]}, DataError, "column 'weight', row 2: expected a number of at least 0, got -1"),
        ({"weight": [0, 0, 0, 0]}, DataError, "column 'weight': expected a number above 0 in some row"),
    ],
)
def test_a_table_that_cannot_serve(write, changes, error, message):
    path = write(columns(**changes))
    with pytest.raises(error, match=message) as caught:
        read_references(path, FEATURES)
    assert str(caught.value).endswith(f", in {path}")


def test_a_table_without_a_feature(write):
    path = write({name: values for name, values in columns().items() if name != "b"})
    with pytest.raises(
        ColumnError, match=r"missing feature columns: b \(1 of \d\); the data has: .*weight of baby, in .*table"
    ):
        read_references(path, FEATURES)


def test_a_table_without_rows(write):
    with pytest.raises(TrainingError, match="expected rows, got an empty table"):
        read_references(write({name: np.zeros(0) for name in NAMES}), FEATURES)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"--background: there is no file '.*none\.csv'"):
        read_references(tmp_path / "none.csv", FEATURES)
