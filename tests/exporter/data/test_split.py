from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.groups import check_apart, group_values
from whyport.exporter.data.split import SplitChoice, split_rows
from whyport.runtime.errors import ColumnError, TrainingError, UsageError

LABELS = np.random.default_rng(0).choice(3, size=600, p=[0.6, 0.3, 0.1])
GROUPS = np.random.default_rng(1).integers(60, size=600)
BOTH = SplitChoice(test_fraction=0.2, validation_fraction=0.2)


def of(parts):
    return parts.train, parts.validation, parts.test


@pytest.mark.parametrize("groups", [None, GROUPS])
@pytest.mark.parametrize("strata", [None, LABELS])
def test_every_row_has_one_use(strata, groups):
    parts = of(split_rows(BOTH, strata, groups, np.arange(600), seed=0))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(600))
    for part in parts:
        np.testing.assert_array_equal(part, np.sort(part))
    np.testing.assert_allclose([len(part) / 600 for part in parts], [0.6, 0.2, 0.2], atol=0.04)


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_every_part_has_the_classes_shares(groups):
    parts = of(split_rows(BOTH, LABELS, groups, np.arange(600), seed=0))
    expected = np.bincount(LABELS) / 600
    for part in parts:
        np.testing.assert_allclose(
            np.bincount(LABELS[part]) / len(part), expected, atol=0.04 if groups is not None else 0.01
        )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strata", [None, LABELS])
def test_no_group_is_on_both_sides(strata, seed):
    train, validation, test = (set(GROUPS[part]) for part in of(split_rows(BOTH, strata, GROUPS, np.arange(600), seed)))
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_test_rows_do_not_depend_on_the_validation():
    for groups in (None, GROUPS):
        alone = split_rows(SplitChoice(), LABELS, groups, np.arange(600), seed=3)
        np.testing.assert_array_equal(alone.test, split_rows(BOTH, LABELS, groups, np.arange(600), seed=3).test)
        assert not len(alone.validation)


def test_the_seed_decides_the_split():
    for groups in (None, GROUPS):
        first, again, other = (
            split_rows(SplitChoice(), LABELS, groups, np.arange(600), seed).test for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert len(first) != len(other) or (first != other).any()


@pytest.mark.parametrize("fraction", [0.05, 0.15, 0.3, 0.5, 0.75, 0.9])
def test_groups_come_near_to_any_fraction(fraction):
    parts = split_rows(SplitChoice(test_fraction=fraction), LABELS, GROUPS, np.arange(600), seed=0)
    np.testing.assert_allclose(len(parts.test) / 600, fraction, atol=0.03)


@pytest.mark.parametrize("fraction", [0.01, 0.02, 0.97, 0.99])
def test_groups_come_near_to_small_and_large_fractions(fraction):
    groups = np.random.default_rng(2).integers(300, size=3000)
    labels = np.random.default_rng(3).choice(2, size=3000)
    parts = split_rows(SplitChoice(test_fraction=fraction), labels, groups, np.arange(3000), seed=0)
    np.testing.assert_allclose(len(parts.test) / 3000, fraction, atol=0.005)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.2, 0.8])
def test_a_rare_class_does_not_widen_the_test(fraction):
    labels = np.repeat([0, 1], [596, 4])
    parts = split_rows(SplitChoice(test_fraction=fraction), labels, GROUPS, np.arange(600), seed=0)
    np.testing.assert_allclose(len(parts.test) / 600, fraction, atol=0.02)
    assert not set(GROUPS[parts.train]) & set(GROUPS[parts.test])


def test_groups_that_cannot_be_parted():
    with pytest.raises(TrainingError, match="cannot be split with the fraction 0.2: expected at least 2 groups"):
        split_rows(SplitChoice(), LABELS, np.zeros(600, dtype=np.int64), np.arange(600), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 1.0}, "a test fraction between 0 and 1, got 1.0"),
        ({"validation_fraction": 0.0}, "a validation fraction between 0 and 1, got 0.0"),
        ({"test_fraction": 0.5, "validation_fraction": 0.5}, "expected rows to train with"),
        ({"validation": "table.csv", "validation_fraction": 0.5}, "or --validation-fraction, got both"),
        ({"validation": Path("a.csv"), "test": Path("a.csv")}, "expected different tables, got a.csv as both"),
    ],
)
def test_choices_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        SplitChoice(**options)


def test_groups_of_any_type_are_numbers():
    frame = pd.DataFrame({"person": ["a", "b", "a"], "day": pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02"])})
    np.testing.assert_array_equal(group_values(frame, "person"), [0, 1, 0])
    np.testing.assert_array_equal(group_values(frame, "day"), [0, 1, 0])
    with pytest.raises(ColumnError, match="unknown column 'persn'"):
        group_values(frame, "persn")
    with pytest.raises(TrainingError, match="column 'person', row 1: expected a value to split by, got a missing one"):
        group_values(pd.DataFrame({"person": ["a", None]}), "person")


def test_a_group_in_two_tables():
    training, other = pd.DataFrame({"person": ["a", "b", "7"]}), pd.DataFrame({"person": ["c", "b"]})
    digits = pd.DataFrame({"person": [8, 7]})
    first, second, third = Path("first.csv"), Path("second.csv"), Path("third.csv")
    check_apart({first: training, second: other.iloc[:1], third: digits.iloc[:1]}.items(), "person")
    message = "column 'person', row .: expected a value that is in no other table, got {}, which is in {} too: .* in {}"
    with pytest.raises(TrainingError, match=message.format("'b'", "first.csv", "second.csv")):
        check_apart({first: training, second: other}.items(), "person")
    with pytest.raises(TrainingError, match=message.format("'7'", "first.csv", "third.csv")):
        check_apart({first: training, third: digits}.items(), "person")
    with pytest.raises(TrainingError, match=message.format("'a'", "first.csv", "first.csv")):
        check_apart([(first, training), (first, training)], "person")
    fractions = pd.DataFrame({"person": [8.5, 7.0]})
    with pytest.raises(TrainingError, match=message.format("'7'", "second.csv", "third.csv")):
        check_apart({first: other, second: digits, third: fractions}.items(), "person")
    with pytest.raises(TrainingError, match=message.format("'c'", "second.csv", "third.csv")):
        check_apart({first: training, second: other.iloc[:1], third: other}.items(), "person")
    with pytest.raises(ColumnError, match="unknown column 'person'.*, in second.csv"):
        check_apart({first: training, second: training.rename(columns={"person": "id"})}.items(), "person")
