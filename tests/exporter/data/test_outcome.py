import logging
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.outcome import TargetChoice, find_outcome, parse_units
from whyport.runtime.errors import ColumnError, TrainingError, UsageError

FRAME = pd.DataFrame(
    {
        "weight": [1.5, 2.5, 3.5, 4.0],
        "price": [Decimal("1.25"), Decimal("2.5"), Decimal("3"), Decimal("4")],
        "count": [100, 250, 75, 310],
        "grade": [1, 0, 1, 0],
        "name": ["b", "a", "b", "a"],
        "flag": [True, False, True, False],
        "gap": [1.5, np.nan, 2.5, 3.5],
        "huge": [1.0, 1e39, 2.0, 3.0],
        "day": pd.to_datetime(["2020-01-01"] * 4),
    }
)


def outcome(*columns, **options):
    return find_outcome(FRAME, TargetChoice(columns, **options))


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        (["weight"], "regression"),
        (["price"], "regression"),
        (["count"], "regression"),
        (["weight", "grade"], "regression"),
        (["grade"], "classification"),
        (["name"], "classification"),
        (["flag"], "classification"),
    ],
)
def test_the_task_follows_from_the_columns(columns, task):
    assert outcome(*columns).task == task


def test_a_choice_between_the_tasks_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="whyport.exporter"):
        outcome("grade")
        outcome("weight")
        outcome("count")
        outcome("name")
    assert [record.message for record in caplog.records] == [
        "target 'grade': 2 whole numbers that repeat, so classes; --task regression would take them for quantities",
        "target 'weight': numbers with fractions, so a regression",
        "target 'count': 4 different whole numbers, so a regression",
    ]
    assert outcome("grade", task="regression").task == "regression"


def test_quantities_keep_their_order_and_their_units():
    found = outcome("weight", "price", "count", units={"count": "items"})
    np.testing.assert_array_equal(found.labels(FRAME), [[1.5, 1.25, 100], [2.5, 2.5, 250], [3.5, 3, 75], [4, 4, 310]])
    assert found.targets == ("weight", "price", "count")
    assert found.units == (None, None, "items")
    assert found.strata(found.labels(FRAME)) is None


@pytest.mark.parametrize(
    ("column", "names", "labels"),
    [
        ("grade", ("no", "yes"), [1, 0, 1, 0]),
        ("flag", ("no", "yes"), [1, 0, 1, 0]),
        ("name", ("b", "a"), [0, 1, 0, 1]),
    ],
)
def test_names_for_the_classes(column, names, labels):
    found = outcome(column, classes=names)
    assert found.targets == names
    np.testing.assert_array_equal(found.labels(FRAME), labels)
    assert found.units == (None, None)


@pytest.mark.parametrize(
    ("column", "options", "error", "message"),
    [
        ("grade", {"classes": ("no",)}, UsageError, "a name for each of the 2 classes '0', '1' of target 'grade'"),
        ("name", {"classes": ("no", "yes")}, UsageError, "of the 2 classes 'a', 'b' of target 'name', got 'no', 'yes'"),
        ("weight", {"classes": ("no", "yes")}, UsageError, "target 'weight' holds numbers that are no classes"),
        ("grade", {"units": {"grade": "g"}}, UsageError, "target 'grade' holds classes"),
        ("weight", {"task": "classification"}, TrainingError, "got fractions: that is --task regression"),
        ("name", {"task": "regression"}, TrainingError, "target 'name': expected numbers, as a regression needs them"),
        ("day", {"task": "regression"}, TrainingError, "target 'day': expected numbers, .*got datetime64"),
        ("nothing", {}, ColumnError, "unknown column 'nothing'"),
    ],
)
def test_what_does_not_fit_the_column(column, options, error, message):
    with pytest.raises(error, match=message):
        outcome(column, **options).labels(FRAME)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("gap", "target 'gap', row 1: expected a finite number within float32, got a missing value"),
        ("huge", r"target 'huge', row 1: expected a finite number within float32, got 1e\+39"),
    ],
)
def test_a_row_without_a_number_is_named(column, message):
    with pytest.raises(TrainingError, match=message):
        outcome(column).labels(FRAME)


def test_quantities_must_differ():
    found = outcome("weight", "grade")
    with pytest.raises(TrainingError, match="target 'grade': expected numbers that differ, got only 1"):
        found.check_training(found.labels(FRAME)[::2])


def test_a_class_that_was_kept_back_altogether():
    found = outcome("name")
    with pytest.raises(TrainingError, match="class 'b': expected rows to train with, got none"):
        found.check_training(np.zeros(2, dtype=np.int64))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ((), {}, "different target columns, at least one"),
        (("a", "a"), {}, "different target columns"),
        (("a", "b"), {"task": "classification"}, "expected one target with classes, got 'a', 'b'"),
        (("a",), {"task": "regresion"}, "unknown task 'regresion' .did you mean 'regression'"),
        (("a",), {"task": "regression", "classes": ("no", "yes")}, "--classes: a regression has none"),
        (("a", "b"), {"classes": ("no", "yes")}, "--classes: a regression has none"),
        (("a",), {"task": "classification", "units": {"a": "g"}}, "--target-unit: a classification has none"),
        (("a",), {"classes": ("no", "yes"), "units": {"a": "g"}}, "expected one of them"),
        (("a",), {"units": {"b": "g"}}, "unknown target of --target-unit 'b'"),
    ],
)
def test_choices_are_checked(columns, options, message):
    with pytest.raises(UsageError, match=message):
        TargetChoice(columns, **options)


def test_units_are_read():
    assert parse_units(["a", "a=b"], ["a=b=c"]) == {"a": "b=c"}
    assert parse_units(["speed"], "speed=m/s") == {"speed": "m/s"}
    assert parse_units(["speed"], {"speed": "m/s"}) == {"speed": "m/s"}
    assert parse_units(["speed"], None) == {}
    with pytest.raises(UsageError, match="expected TARGET=UNIT with a target of 'speed', got 'm/s'"):
        parse_units(["speed"], ["m/s"])
