"""The inputs of a model as a user names them, described by a sample."""

import re

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.input_choice import parse_inputs
from whyport.exporter.data.inputs import describe_inputs
from whyport.runtime.bundle.columns import LIST, NUMBER
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import features_of, sources_of
from whyport.runtime.errors import ColumnError, TrainingError, UsageError
from whyport.runtime.inputs.table import Columns

VALUES = np.random.default_rng(0).standard_normal((20, 4, 3))
FRAME = pd.DataFrame(
    {"steps": list(VALUES), "flat": list(VALUES.reshape(20, -1)), "age": np.arange(20.0), "name": ["x"] * 20}
    | {name: list(VALUES[:, :, k]) for k, name in enumerate("abc")}
    | {f"w{k}_{step}": VALUES[:, step, k] for k in range(3) for step in range(4)}
    | {f"t{step}k{k}": VALUES[:, step, k] for step in range(4) for k in range(3)}
)
BY_STEP = ",".join(f"t{step}k{k}" for step in range(4) for k in range(3))


def described(*texts: str) -> tuple[Input, ...]:
    return describe_inputs(FRAME, parse_inputs(texts), standardise=False, impute=False)


@pytest.mark.parametrize(
    "text",
    [
        "x=sequence:steps",
        "x=sequence:steps:steps=4,features=3",
        "x=sequence:flat:features=3",
        "x=sequence:flat:steps=4",
        "x=sequence:a,b,c",
        "x=sequence:w0_*,w1_*,w2_*",
        f"x=sequence:{BY_STEP}:features=3",
    ],
)
def test_every_form_of_a_sequence_gives_the_same_rows(text: str) -> None:
    inputs = described(text)

    assert [(axis.name, axis.length) for axis in inputs[0].axes] == [("time", 4), ("feature", 3)]
    assert inputs[0].tensors[0].shape == ("N", 4, 3)
    rows = Columns.of_inputs(inputs).encode(FRAME).matrix
    np.testing.assert_array_equal(rows, VALUES.reshape(20, -1).astype(np.float32))


def test_the_statistics_of_a_feature_are_those_of_all_its_steps() -> None:
    for text in ("x=sequence:steps", "x=sequence:a,b,c"):
        features = features_of(sources_of(described(text)))

        assert len(features) == 12
        for j, feature in enumerate(features):
            own = VALUES[:, :, j % 3]
            np.testing.assert_allclose(
                [feature.statistics.mean, feature.spread, feature.statistics.median],
                [own.mean(), own.std(), np.median(own)],
            )


def test_names_along_the_axes_are_the_columns_the_patterns_or_the_settings() -> None:
    assert described("x=sequence:a,b,c")[0].axes[1].labels == ("a", "b", "c")
    assert described("x=sequence:w0_*,w1_*,w2_*")[0].axes[1].labels == ("w0", "w1", "w2")
    assert described("x=sequence:steps:names=hr|bp|t")[0].axes[1].labels == ("hr", "bp", "t")
    assert described("x=sequence:a")[0].axes[1].labels == ("a",)
    (column,) = described("x=sequence:steps:names=hr|bp|t")[0].columns
    assert [channel.name for channel in column.channels] == ["hr", "bp", "t"]
    assert features_of(sources_of(described("x=sequence:steps:names=hr|bp|t")))[4].name == "steps[1].bp"


def test_a_sequence_and_a_table_stand_one_after_the_other_in_the_row() -> None:
    inputs = described("x=sequence:a,b", "z=table:age,w0_1")

    assert [column.kind for each in inputs for column in each.columns] == [LIST, LIST, NUMBER, NUMBER]
    rows = Columns.of_inputs(inputs).encode(FRAME).matrix
    np.testing.assert_array_equal(rows[:, :8], VALUES[:, :, :2].reshape(20, -1).astype(np.float32))
    np.testing.assert_array_equal(rows[:, 8:], FRAME[["age", "w0_1"]].to_numpy(np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "expected NAME=KIND:COLUMNS"),
        ("x=picture:a", "unknown kind 'picture'"),
        ("x=table:age:steps=3", "unknown setting 'steps'"),
        ("x=sequence:steps:length=4", "unknown setting 'length'"),
        ("x=sequence:steps:steps=0", "steps: expected a whole number of at least 1, got '0'"),
        ("x=sequence:steps:steps=5", "steps=5: the sample's rows have 4"),
        ("x=sequence:steps:features=2", "features=2: the columns have 3 a step"),
        ("x=sequence:steps:names=a|b", "names: expected 3 that differ"),
        ("x=sequence:a,steps", "expected one column of steps"),
        ("x=sequence:w0_1,w1_1", "expected features=, the columns of a step"),
        (f"x=sequence:{BY_STEP}:features=5", "expected 5 columns a step, got 12 columns in all"),
    ],
)
def test_choices_that_do_not_fit_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        described(text)


def test_a_name_may_be_there_once() -> None:
    with pytest.raises(UsageError, match="expected names that differ, got 'x' twice"):
        parse_inputs(["x=table:age", "x=sequence:a"])


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("x=sequence:age", "SELECT id, list(age ORDER BY time) AS x FROM rows GROUP BY id"),
        ("x=sequence:age,w0_1", "SELECT id, list([age, w0_1] ORDER BY time) AS x FROM rows GROUP BY id"),
        ("x=sequence:age:steps=24", "SELECT id, list(age ORDER BY time) AS x FROM rows GROUP BY id"),
    ],
)
def test_a_row_a_step_is_refused_with_the_query_that_groups_it(text: str, query: str) -> None:
    with pytest.raises(UsageError, match=re.escape(query)):
        described(text)


def test_columns_of_something_else_are_no_lists() -> None:
    with pytest.raises(ColumnError, match="column 'name': expected a list of numbers a row"):
        described("x=sequence:name")


def test_columns_that_are_missing_or_empty_are_named() -> None:
    with pytest.raises(ColumnError, match="unknown column 'd'"):
        described("x=sequence:a,d")
    with pytest.raises(ColumnError, match="expected columns that end with a number"):
        described("x=sequence:hr_*")
    empty = FRAME.assign(a=[None] * 20)
    with pytest.raises(TrainingError, match="'a': expected values, got only missing ones"):
        describe_inputs(empty, parse_inputs(["x=sequence:a"]), standardise=False, impute=False)


@pytest.mark.parametrize("text", ["x=table:a", "x=sequence:a:features=1"])
def test_a_column_of_numbers_without_values_is_left_out_of_its_input(text: str) -> None:
    frame = FRAME.assign(a=np.full(20, np.nan))
    with pytest.raises(TrainingError, match="'a': expected values, got only missing ones; leave it out of --input x$"):
        describe_inputs(frame, parse_inputs([text]), standardise=False, impute=False)


def test_a_column_of_lists_without_values_is_left_out_of_its_input() -> None:
    frame = FRAME.assign(a=[[np.nan, 1.0]] * 20)
    expected = "'a': expected lists of 2 x 1 finite numbers, got none; leave it out of --input x$"
    with pytest.raises(TrainingError, match=expected):
        describe_inputs(frame, parse_inputs(["x=sequence:a"]), standardise=False, impute=False)
