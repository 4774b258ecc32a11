"""The Wasserstein distance beside scipy's, and how far one of drawn rows is off."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from whyport.batch.compare.distance import sampling_error, wasserstein


@pytest.mark.parametrize("sizes", [(1, 1), (7, 300), (500, 400)])
def test_it_is_scipys(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(sum(sizes))
    one = np.sort(generator.normal(size=sizes[0]).astype(np.float32).round(1))
    two = np.sort(generator.standard_t(2, size=sizes[1]).astype(np.float32).round(1) + np.float32(0.3))
    assert wasserstein(one, two) == pytest.approx(wasserstein_distance(one, two), rel=1e-12)
    weights = generator.random(sizes[0])
    assert wasserstein(one, two, weights) == pytest.approx(wasserstein_distance(one, two, weights), rel=1e-12)


def test_there_is_none_without_values() -> None:
    assert np.isnan(wasserstein(np.zeros(0, dtype=np.float32), np.ones(3, dtype=np.float32)))


def test_rows_drawn_are_nearer_than_the_bound_in_the_mean() -> None:
    generator = np.random.default_rng(0)
    all_values = generator.lognormal(size=20_000).astype(np.float32)
    far, bounds = [], []
    for _ in range(100):
        drawn = np.sort(generator.choice(all_values, 500, replace=False))
        far.append(wasserstein_distance(drawn, all_values))
        bounds.append(sampling_error(drawn, len(all_values)))
    assert 0.4 * np.mean(bounds) < np.mean(far) < np.mean(bounds)
    assert sampling_error(np.sort(all_values), len(all_values)) == 0
