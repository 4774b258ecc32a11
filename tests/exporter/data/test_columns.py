"""Raw training tables, described by their training rows and encoded as one matrix."""

import datetime as dt
import logging

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.columns import describe_table, encode_table
from whyport.runtime.bundle.columns import DAYS
from whyport.runtime.errors import ColumnError, TrainingError, ValueRangeError
from whyport.runtime.limits import RowLimit

FRAME = pd.DataFrame(
    {
        "age": [20.0, None, 40.0, 90.0],
        "region": ["south", "north", None, "west"],
        "since": [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1), dt.date(2022, 1, 1)],
        "member": [True, False, True, None],
    }
)
KINDS = {"age": "number", "region": "category", "since": "time", "member": "category"}
TRAINING = np.array([0, 1, 2])


def test_the_training_rows_decide_what_is_known():
    age, region, since, member = describe_table(FRAME, KINDS, TRAINING)
    assert (age.statistics.median, age.imputation, age.missing) == (30.0, 30.0, "impute")
    assert region.categories.values == ("north", "south")
    assert (since.kind, since.unit) == ("time", DAYS)
    assert (since.statistics.minimum, since.statistics.maximum) == (18262, 18628)
    assert member.categories.type == "boolean"
    np.testing.assert_array_equal(
        encode_table([age, region, since, member], FRAME),
        [[20, 1, 18262, 1], [np.nan, 0, np.nan, 0], [40, 3, 18628, 1], [90, 2, 18993, 3]],
    )


def test_rare_categories_have_the_code_of_unseen_ones():
    (column,) = describe_table(
        pd.DataFrame({"a": ["x", "x", "y", "x"]}), {"a": "category"}, np.arange(4), RowLimit(count=2)
    )
    np.testing.assert_array_equal(encode_table([column], pd.DataFrame({"a": ["y", "x", "z"]})), [[1], [0], [1]])


def test_texts_that_are_no_dates_are_told(caplog):
    frame = pd.DataFrame({"a": ["2024-01-31", "2024-02-30", None, "soon"]})
    with caplog.at_level(logging.WARNING):
        (column,) = describe_table(frame, {"a": "time"}, np.arange(4))
    assert column.missing_fraction == 0.75
    assert "column 'a': 2 texts name no date and count as missing, the first '2024-02-30' in row 1" in caplog.text
    with pytest.raises(TrainingError, match="column 'a': expected values, got only missing ones"):
        describe_table(frame, {"a": "time"}, np.array([1, 3]))


@pytest.mark.parametrize("kind", ["number", "time"])
def test_values_that_no_row_can_hold(kind):
    with pytest.raises(
        (ValueRangeError, ColumnError), match=r"column 'a', row 3: .* got -inf|column 'a': .* got float64"
    ):
        describe_table(pd.DataFrame({"a": [1.0, 2, 3, -np.inf]}), {"a": kind}, TRAINING)


def test_an_infinity_of_another_table_is_refused_with_its_place():
    columns = describe_table(FRAME, {"age": "number"}, TRAINING)
    with pytest.raises(ValueRangeError, match="column 'age', row 1: expected a finite value, got inf"):
        encode_table(columns, pd.DataFrame({"age": [1, np.inf]}))
