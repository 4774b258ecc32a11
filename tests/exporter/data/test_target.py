import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.target import class_indices, class_values
from whyport.runtime.errors import TrainingError


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "b", "a"], ("a", "b")),
        ([10, 9, 10, 9], ("9", "10")),
        ([1.0, 0.0, 1.0, 0.0], ("0", "1")),
        ([True, False, True, False], ("False", "True")),
        (pd.Categorical(["z", "y", "z", "y"], categories=["z", "y", "unused"]), ("y", "z")),
        (pd.array([2, 1, 2, 1], dtype="Int64"), ("1", "2")),
    ],
)
def test_classes_are_sorted_names(values, classes):
    labels = pd.Series(values, name="y")
    assert class_values(labels) == classes
    np.testing.assert_array_equal(class_indices(labels, classes), [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.linspace(0, 1, 50), "got fractions: that is --task regression"),
        (np.arange(300) % 150, "at most 100 that repeat, got 150 distinct values in 300 rows"),
        ([f"id{i}" for i in range(20)], "got 20 distinct values in 20 rows"),
        (["a", "a"], "at least 2 classes, got only 'a'"),
        (["a", None, "b"], "row 1: expected a class, got a missing value"),
        ([1.0, np.nan], "row 1: expected a class"),
        (["a", 1, "a", 1], "expected text or whole numbers, got 'int', 'str'"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "expected text or whole numbers, got 'Timestamp'"),
    ],
)
def test_columns_that_are_no_classes(values, message):
    with pytest.raises(TrainingError, match=f"target 'y'.*{message}"):
        class_values(pd.Series(values, name="y"))


def test_a_class_that_training_has_not_seen():
    with pytest.raises(TrainingError, match="unknown class in target 'y' 'c'.*known: 'a', 'b', in row 1"):
        class_indices(pd.Series(["a", "c"], name="y"), ("a", "b"))


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x\udcff"])
def test_a_class_that_no_bundle_can_hold_is_refused_at_the_start(name):
    with pytest.raises(TrainingError, match=r"target 'y', class .*: expected text without NUL and lone surrogates"):
        class_values(pd.Series(["a", name] * 5, name="y", dtype=object))
