import numpy as np
import pytest

from whyport.exporter.data.statistics import describe_columns, float32_matrix, impute
from whyport.runtime.bundle.columns import IMPUTE
from whyport.runtime.errors import TrainingError, ValueRangeError


def test_statistics_of_the_values_that_are_there():
    values = np.array([3.0, np.nan, 1.0, 2.0, np.nan, 6.0])
    (feature,) = describe_columns(["a"], [values])
    assert (feature.name, feature.statistics.minimum, feature.statistics.maximum) == ("a", 1.0, 6.0)
    np.testing.assert_allclose([feature.statistics.mean, feature.statistics.median], [3.0, 2.5])
    np.testing.assert_allclose(feature.statistics.standard_deviation, np.sqrt((0 + 4 + 1 + 9) / 4))
    np.testing.assert_allclose(feature.missing_fraction, 2 / 6)


def test_bins_are_deciles():
    (feature,) = describe_columns(["a"], [np.arange(1000)])
    np.testing.assert_allclose(feature.statistics.bin_edges, np.arange(1, 10) * 99.9)
    np.testing.assert_allclose(feature.statistics.bin_fractions, np.full(10, 0.1))


def test_repeated_deciles_are_one_edge():
    (feature,) = describe_columns(["a"], [np.array([False] * 71 + [True] * 30)])
    assert feature.statistics.bin_edges == (0.0, 1.0)
    np.testing.assert_allclose(feature.statistics.bin_fractions, [0, 71 / 101, 30 / 101])


def test_few_values_are_all_edges():
    for values in ([0, 1], [2, 3, 5], [0.1, 0.2, 0.7], np.arange(10), [-1, -0.0], [4]):
        column = np.repeat(np.array(values, dtype=float), np.arange(len(values)) ** 3 + 1)
        (feature,) = describe_columns(["a"], [np.random.default_rng(0).permutation(column)])
        expected, counts = np.unique(column, return_counts=True)
        np.testing.assert_array_equal(feature.statistics.bin_edges, expected)
        np.testing.assert_allclose(feature.statistics.bin_fractions, [0, *counts / len(column)])
        assert "-0.0" not in str(feature)


def test_a_frequent_value_has_a_bin_of_its_own():
    column = np.concatenate([np.zeros(950), np.arange(1, 51)])
    (feature,) = describe_columns(["a"], [column])
    tiny = np.finfo(np.float32).tiny  # smaller floats are 0 on some machines
    assert feature.statistics.bin_edges == (0, float(tiny), 1)
    np.testing.assert_allclose(feature.statistics.bin_fractions, [0, 0.95, 0, 0.05])
    (feature,) = describe_columns(["a"], [7 - column])
    assert feature.statistics.bin_edges[-1] == 7
    np.testing.assert_allclose(feature.statistics.bin_fractions[-1], 0.95)
    middle = np.concatenate([np.arange(100), np.full(100, 200), 300 + np.arange(100)])
    (feature,) = describe_columns(["a"], [middle])
    alone = np.float32(200), np.nextafter(np.float32(200), np.float32(np.inf)), np.float32(300)
    assert set(map(float, alone)) <= set(feature.statistics.bin_edges)
    bins = np.searchsorted(feature.statistics.bin_edges, middle, side="right")
    np.testing.assert_allclose(feature.statistics.bin_fractions, np.bincount(bins) / 300)
    np.testing.assert_allclose(feature.statistics.bin_fractions[feature.statistics.bin_edges.index(200) + 1], 1 / 3)


def test_edges_are_distinct_as_float32():
    column = np.concatenate([np.full(60, 0.3), np.full(40, 0.1 + 0.2), np.linspace(1, 2, 100)])
    (feature,) = describe_columns(["a"], [column])
    rounded = np.array(feature.statistics.bin_edges, dtype=np.float32)
    assert (np.diff(rounded) > 0).all()
    bins = np.searchsorted(rounded, column.astype(np.float32), side="right")
    np.testing.assert_allclose(feature.statistics.bin_fractions, np.bincount(bins, minlength=len(rounded) + 1) / 200)
    np.testing.assert_allclose(feature.statistics.bin_fractions[1], 0.5)


def test_a_constant_has_no_spread():
    (feature,) = describe_columns(["a"], [np.full(10, 0.1)])
    assert (feature.statistics.mean, feature.statistics.standard_deviation) == (0.1, 0.0)
    np.testing.assert_array_equal(float32_matrix([feature], [np.full(3, 0.1)]), np.full((3, 1), np.float32(0.1)))


def test_a_column_without_values():
    with pytest.raises(TrainingError, match="column 'b': expected values, got only missing ones"):
        describe_columns(["a", "b"], [np.ones(3), np.full(3, np.nan)])


def test_values_beyond_float32():
    with pytest.raises(ValueRangeError, match="column 'a', row 1: expected a value within float32's range, got 1e"):
        describe_columns(["a"], [np.array([1.0, 1e300])])


def test_values_too_close_for_float32():
    stamps = 1.7e9 + np.arange(10.0)
    with pytest.raises(ValueRangeError, match="column 'time', row 0: float32 is too coarse"):
        float32_matrix(describe_columns(["time"], [stamps]), [stamps])


def test_imputes_medians():
    columns = [np.array([1.0, 2.0, 9.0]), np.array([5.0, np.nan, 7.0])]
    features = describe_columns(["a", "b"], columns, missing=IMPUTE)
    rows = np.array([[np.nan, 1], [3, np.nan]], dtype=np.float32)
    np.testing.assert_array_equal(impute(rows, features), [[2, 1], [3, 6]])


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x\udcff"])
def test_a_name_that_no_bundle_can_hold_is_refused_at_the_start(name):
    with pytest.raises(TrainingError, match="expected a name without NUL and lone surrogates"):
        describe_columns(["a", name], [np.arange(3.0)] * 2)
