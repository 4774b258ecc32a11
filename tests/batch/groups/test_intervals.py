"""Intervals against statsmodels' published example, scipy and numpy."""

import numpy as np
import pytest
from scipy import stats

from whyport.batch.groups.intervals import GroupMoments, rate


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (3, 10), (10, 10), (977, 5000)])
def test_a_rate_has_wilsons_interval(hits: int, rows: int) -> None:
    found, expected = rate(hits, rows), stats.binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    assert found.value == hits / rows
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)


def test_a_rate_of_no_rows_is_none() -> None:
    assert rate(0, 0).record == {"value": None, "low": None, "high": None}


def test_means_that_come_in_batches_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(1e6, 1e-3, size=(500, 2)) * [1, -1]
    groups = rng.integers(0, 3, 500)
    groups[groups == 2] = 4
    groups[0] = 5
    moments = GroupMoments(6, 2)
    for part in np.array_split(np.arange(500), 7):
        moments.add(groups[part], values[part])
    for group in (0, 1, 4):
        own = values[groups == group, 1]
        found = moments.of(group, 1)
        low, high = stats.norm.interval(0.95, own.mean(), stats.sem(own))
        assert found.value == pytest.approx(own.mean(), rel=1e-14)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-8 * (high - low) + 1e-9)
    assert moments.of(3).value is None
    assert moments.of(5).record == {"value": pytest.approx(values[0, 0]), "low": None, "high": None}
