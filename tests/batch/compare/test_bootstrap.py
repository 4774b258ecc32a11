"""The Poisson bootstrap beside the closed form: the spread of a mean is that of the values, by √n."""

import numpy as np
import pytest

from whyport.batch.compare.bootstrap import NORMAL, REPLICATES, replicate_weights, standard_errors
from whyport.batch.scoring.selection import uniform


def test_weights_are_poisson_and_independent() -> None:
    weights = replicate_weights(uniform("a", np.arange(20_000)))
    assert weights.shape == (REPLICATES, 20_000)
    assert weights.mean() == pytest.approx(1, abs=0.002)
    assert weights.var() == pytest.approx(1, abs=0.005)
    assert np.mean(weights == 0) == pytest.approx(np.exp(-1), abs=0.001)
    correlations = np.corrcoef(weights) - np.eye(REPLICATES)
    assert np.abs(correlations).max() < 5 / np.sqrt(20_000)


def test_the_error_of_a_mean_is_that_of_the_closed_form() -> None:
    generator = np.random.default_rng(0)
    values = generator.gamma(2, size=(4000, 40))
    errors = standard_errors(uniform("a", np.arange(4000)), values, 4000)
    closed = values.std(axis=0, ddof=1) / np.sqrt(4000)
    # 200 replicates give a spread within 5 % or so; the mean of 40, whose weights are the same, is nearer.
    assert np.abs(errors / closed - 1).max() < 0.2
    assert np.mean(errors / closed) == pytest.approx(1, abs=0.05)


def test_the_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(400):
        values = generator.exponential(size=(300, 1))
        error = standard_errors(uniform(str(trial), np.arange(300)), values, 300)[0]
        covered += abs(values.mean() - 1) < NORMAL * error
    # 95 %, with a binomial spread of 1.1 %.
    assert 0.915 < covered / 400 < 0.98


def test_rows_drawn_stand_for_all() -> None:
    values = np.random.default_rng(2).normal(size=(50_000, 20))
    keys = uniform("a", np.arange(50_000))
    drawn = np.argsort(keys)[:5000]
    few = standard_errors(keys[drawn], values[drawn], 50_000)
    assert np.mean(few) == pytest.approx(1 / np.sqrt(50_000), rel=0.08)


def test_weights_of_rows_count() -> None:
    """Weights 0 and 1 are a subset."""
    values = np.random.default_rng(3).normal(size=(1000, 5))
    weights = (np.arange(1000) % 2).astype(float)
    own = weights > 0
    keys = uniform("a", np.arange(1000))
    weighted = standard_errors(keys, values, 1000, weights)
    np.testing.assert_allclose(weighted, standard_errors(keys[own], values[own], int(own.sum())))


def test_one_row_has_no_error() -> None:
    assert np.isnan(standard_errors(np.array([0.5]), np.ones((1, 2)), 1)).all()
