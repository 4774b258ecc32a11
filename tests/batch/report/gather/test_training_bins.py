"""Drift that deciles alone do not show, against the index of the two samples' own distributions."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from whyport.batch.report.gather.drift import LEAST_SHARE, MOVED, Drift, FeatureDrift, input_counts, input_drift
from whyport.exporter.data.statistics import describe_columns
from whyport.runtime.bundle.columns import Column

Values = NDArray[np.float64]
GENERATOR = np.random.default_rng(0)


def drift_of(feature: Column, after: Values) -> FeatureDrift:
    counts = input_counts([feature])
    for part in np.array_split(np.asarray(after, dtype=np.float64)[:, None], 3):
        counts.add(part)
    (found,) = input_drift([feature], counts).features
    return found


def described(before: Values) -> Column:
    (feature,) = describe_columns(["a"], [before])
    return feature


def by_deciles(before: Values) -> Column:
    """What a bundle made before says: deciles without repeats."""
    present = before[~np.isnan(before)].astype(float)
    edges = np.unique(np.quantile(present, np.arange(1, 10) / 10))
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    column = described(before)
    numbers = replace(column.statistics, bin_edges=tuple(edges), bin_fractions=tuple(counts / len(present)))
    return replace(column, numbers=numbers)


def binned(column: Column) -> Column:
    """The column with all of its values in one bin."""
    return replace(column, numbers=replace(column.statistics, bin_edges=(0.0,), bin_fractions=(0.0, 1.0)))


def exact(before: Values, after: Values) -> float:
    """The index over all values that occur, as float32."""
    samples = [np.asarray(each, dtype=np.float32)[np.isfinite(each)] for each in (before, after)]
    values = np.unique(np.concatenate(samples))
    e, a = (np.array([np.maximum(np.mean(each == v), LEAST_SHARE) for v in values]) for each in samples)
    return float(((a - e) * np.log(a / e)).sum())


def shares(values: list[float], counts: list[int]) -> Values:
    return np.repeat(np.array(values, dtype=float), counts)


FEW = {
    "a boolean that is rarely true": (shares([0, 1], [930, 70]), shares([1], [500])),
    "a boolean that is no longer true": (shares([0, 1], [930, 70]), shares([0], [500])),
    "a boolean that is rarely false": (shares([0, 1], [20, 980]), shares([0, 1], [500, 500])),
    "a boolean that is a share now": (shares([0, 1], [930, 70]), shares([0.5], [100])),
    "codes that lose their last": (
        shares([0, 1, 2, 3, 4, 5], [400, 300, 170, 60, 40, 30]),
        shares([0, 1, 2, 3], [400, 300, 170, 130]),
    ),
    "a code beyond the last": (shares([0, 1, 2], [400, 300, 300]), shares([0, 1, 7], [400, 300, 300])),
    "a code before the first": (shares([0, 1, 2], [300, 300, 400]), shares([-1, 1, 2], [300, 300, 400])),
    "ten values": (np.arange(1000) % 10, np.arange(1000) % 9),
    "a constant that grows": (shares([3], [100]), shares([4], [100])),
    "a constant that falls": (shares([3], [100]), shares([2, 3], [50, 50])),
    "floats that are rounded": (shares([0.1, 0.3, 0.7], [90, 5, 5]), shares([0.1, 0.3, 0.7], [5, 5, 90]).astype("f4")),
    "large codes": (shares([16777217, 50331653], [95, 5]), shares([16777217, 50331653], [5, 95])),
}


@pytest.mark.parametrize(("before", "after"), FEW.values(), ids=FEW)
def test_few_values_have_the_index_of_their_shares(before: Values, after: Values) -> None:
    found = drift_of(described(before), after)
    np.testing.assert_allclose(found.index, exact(before, after), rtol=1e-9)
    assert found.index > MOVED
    assert found.is_told


@pytest.mark.parametrize("before", [pair[0] for pair in FEW.values()], ids=FEW)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_same_values_have_not_moved(before: Values, kind: type) -> None:
    found = drift_of(described(before), before.astype(kind))
    np.testing.assert_allclose(found.index, 0, atol=1e-12)
    assert (found.is_told, found.outside) == (True, 0)
    rounded = described(before.astype(np.float32))
    np.testing.assert_allclose(drift_of(rounded, before).index, 0, atol=1e-12)


def test_the_edge_after_the_most_frequent_value_is_what_shows() -> None:
    feature, after = described(FEW["a boolean that is rarely true"][0]), np.ones(500)
    assert (feature.statistics.bin_edges, feature.statistics.bin_fractions) == ((0.0, 1.0), (0.0, 0.93, 0.07))
    np.testing.assert_allclose(drift_of(feature, after).index, 10.97, atol=0.005)
    before = binned(feature)
    found = drift_of(before, after)
    np.testing.assert_allclose(found.index, 0, atol=1e-12)
    assert not found.is_told


INFLATED = np.concatenate([np.zeros(700), GENERATOR.uniform(1, 2, size=300)])
SPIKED = {
    "no zeros any more": (INFLATED, GENERATOR.uniform(1, 1.3, size=1000)),
    "zeros that become small": (INFLATED, np.where(INFLATED == 0, 1e-6, INFLATED)),
    "zeros that fall": (INFLATED, np.where(INFLATED == 0, -1e-6, INFLATED)),
    "nearly all zeros": (
        np.concatenate([np.zeros(950), np.arange(1, 51)]),
        np.concatenate([np.zeros(500), np.arange(1, 501) % 50 + 1.0]),
    ),
    "the largest is the most frequent": (
        np.concatenate([GENERATOR.uniform(size=100), np.full(900, 5.0)]),
        np.concatenate([GENERATOR.uniform(size=100), np.full(900, 5.1)]),
    ),
    "two spikes": (
        np.concatenate([np.zeros(400), np.full(400, 9.0), GENERATOR.uniform(10, 20, size=200)]),
        np.concatenate([np.full(400, 0.5), np.full(400, 9.0), GENERATOR.uniform(10, 20, size=200)]),
    ),
    "codes to 50": (
        np.concatenate([np.zeros(880), np.arange(120) % 50 + 1.0]),
        np.concatenate([np.zeros(440), np.arange(560) % 50 + 1.0]),
    ),
}


@pytest.mark.parametrize(("before", "after"), SPIKED.values(), ids=SPIKED)
def test_a_frequent_value_does_not_hide_the_others(before: Values, after: Values) -> None:
    feature = described(before)
    found = drift_of(feature, after)
    assert found.index > MOVED
    assert found.is_told
    # Joined bins lower an index: it is at least that of the frequent values, each alone, and all others together.
    values, counts = np.unique(before, return_counts=True)
    frequent = values[counts >= 100]
    joined = [np.where(np.isin(each, frequent), each, -99) for each in (before, after)]
    assert found.index >= exact(*joined) - 1e-9
    same = drift_of(feature, np.repeat(before, 2))
    np.testing.assert_allclose(same.index, 0, atol=1e-12)
    assert same.is_told


def test_minus_zero_is_zero() -> None:
    for zero in (0.0, -0.0):
        before = np.where(np.arange(100) < 90, zero, np.arange(100.0))
        for other in (0.0, -0.0):
            found = drift_of(described(before), np.where(before == 0, other, before))
            np.testing.assert_allclose(found.index, 0, atol=1e-12)


@pytest.mark.parametrize(
    "before",
    [
        shares([0, 1], [930, 70]),
        shares([0, 1, 2, 3, 4, 5], [600, 200, 110, 40, 30, 20]),
        shares([0, 1, 2, 3], [300, 300, 310, 90]),
        shares([0, 1, 2, 3], [350, 350, 210, 90]),
        INFLATED,
        np.concatenate([np.zeros(950), np.arange(1, 51)]),
    ],
    ids=["boolean", "codes", "the last two codes", "the last of a fifth", "many zeros", "nearly all zeros"],
)
def test_bins_of_before_say_that_it_cannot_be_told(before: Values) -> None:
    coarse = by_deciles(before)
    found = drift_of(coarse, before)
    np.testing.assert_allclose(found.index, 0, atol=1e-12)
    assert not found.is_told
    assert drift_of(coarse, before - 1000).is_told  # all of it is below
    assert drift_of(described(before), before).is_told


@pytest.mark.parametrize(
    "before",
    [
        GENERATOR.normal(size=500),
        GENERATOR.poisson(2, size=500).astype(float),
        shares([0, 1], [500, 500]),
        shares([0, 1, 2], [300, 300, 400]),
        shares([0.1, 0.7], [300, 700]),
        shares([5], [100]),
    ],
    ids=["continuous", "counts", "boolean", "codes", "floats", "constant"],
)
def test_bins_of_before_that_hold_every_value_alone_tell(before: Values) -> None:
    found = drift_of(by_deciles(before), before)
    np.testing.assert_allclose(found.index, 0, atol=1e-12)
    assert found.is_told


def test_values_outside_of_the_training_range_are_counted() -> None:
    before = GENERATOR.normal(size=1000)
    low, high = np.quantile(before, [0.04, 0.97])
    after = np.where(before < low, -1e6, np.where(before > high, 1e300, before))
    found = drift_of(described(before), after)
    np.testing.assert_allclose(found.index, 0, atol=1e-12)
    np.testing.assert_allclose(found.outside, 0.07)


def test_missing_and_infinite_values_are_counted_beside_the_bins() -> None:
    before = np.where(np.arange(1000) % 50 == 0, np.nan, np.arange(1000.0))
    after = before.copy()
    after[::3], after[1::3] = np.inf, np.nan
    found = drift_of(described(before), after)
    np.testing.assert_allclose([found.missing_before, found.missing_after], [0.02, np.mean(~np.isfinite(after))])
    e, a = np.array([0.02, 0.98]), np.array([found.missing_after, 1 - found.missing_after])
    np.testing.assert_allclose(found.missing_index, ((a - e) * np.log(a / e)).sum())
    assert found.is_told


def test_a_feature_without_any_value_cannot_be_told() -> None:
    found = drift_of(described(np.arange(100.0)), np.full(10, np.nan))
    assert (found.is_told, found.missing_after) == (False, 1.0)
    assert found.missing_index > MOVED


def test_what_cannot_be_told_is_ranked_before_what_has_not_moved() -> None:
    still, hidden, moved = (replace(described(np.arange(100.0)), name=name) for name in ("still", "hidden", "moved"))
    hidden = binned(hidden)
    features = [still, hidden, moved]
    counts = input_counts(features)
    counts.add(np.stack([np.arange(100.0), np.arange(100.0), np.zeros(100)], axis=1))
    drift: Drift = input_drift(features, counts)
    assert [each.name for each in drift.features] == ["moved", "hidden", "still"]
    assert [each.name for each in drift.moved] == ["moved"]
    assert [each.name for each in drift.untold] == ["hidden"]
