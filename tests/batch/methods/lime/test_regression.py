"""LIME's regression beside scikit-learn's and NumPy's, and the sandwich written out."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from whyport.batch.methods.lime.neighbourhood import Neighbourhood, by_cosine
from whyport.batch.methods.lime.regression import WeightedRidge, order_settled

AROUND = Neighbourhood.draw(5, 120, 7, by_cosine)
SCORES = np.stack(
    [
        np.tanh(AROUND.masks @ np.linspace(-1, 2, 7)) + 0.3 * AROUND.masks[:, 0] * AROUND.masks[:, 4],
        3 + AROUND.masks @ np.arange(7.0),
        np.random.default_rng(0).normal(size=120),
    ]
)


def test_coefficients_and_r2_are_scikit_learns() -> None:
    fit = WeightedRidge(AROUND.masks, AROUND.weights).fit(SCORES)
    for k, scores in enumerate(SCORES):
        expected = Ridge(alpha=1).fit(AROUND.masks, scores, sample_weight=AROUND.weights)
        np.testing.assert_allclose(fit.coefficients[k], expected.coef_, atol=1e-12)
        r2 = expected.score(AROUND.masks, scores, sample_weight=AROUND.weights)
        assert fit.adjusted_r2[k] == pytest.approx(1 - (1 - r2) * 119 / 112, abs=1e-12)


def test_over_every_mask_it_is_the_least_squares_solution() -> None:
    masks = np.array(list(itertools.product([False, True], repeat=5)))[::-1]
    weights = by_cosine(masks)
    scores = np.sin(masks @ np.array([1.0, -2.0, 0.5, 3.0, 0.1]))
    # A penalty is a sample more for each player, in which it alone is there, without intercept, and the score is 0.
    rows = np.concatenate([np.sqrt(weights)[:, None] * np.c_[np.ones(32), masks], np.c_[np.zeros(5), np.eye(5)]])
    expected, *_ = np.linalg.lstsq(rows, np.concatenate([np.sqrt(weights) * scores, np.zeros(5)]), rcond=None)
    fit = WeightedRidge(masks, weights).fit(scores[None])
    np.testing.assert_allclose(fit.coefficients[0], expected[1:], atol=1e-12)


def test_the_standard_error_is_the_sandwich() -> None:
    fit = WeightedRidge(AROUND.masks, AROUND.weights).fit(SCORES)
    design = np.c_[np.ones(120), AROUND.masks]
    weighing = np.diag(AROUND.weights)
    bread = np.linalg.inv(design.T @ weighing @ design + np.diag([0.0] + [1.0] * 7))
    for k, scores in enumerate(SCORES):
        residual = scores - design @ (bread @ design.T @ weighing @ scores)
        meat = design.T @ weighing @ np.diag(residual**2) @ weighing @ design
        variance = np.diag(bread @ meat @ bread) * 120 / 112
        np.testing.assert_allclose(fit.standard_error[k], np.sqrt(variance[1:]), rtol=1e-9)


def test_scores_that_never_differ_are_explained_whole_by_nothing() -> None:
    fit = WeightedRidge(AROUND.masks, AROUND.weights).fit(np.full((1, 120), 1 / 3))
    np.testing.assert_allclose(fit.coefficients, 0, atol=1e-12)
    assert fit.adjusted_r2 == [1]


def test_without_players_there_is_an_intercept_alone() -> None:
    fit = WeightedRidge(AROUND.masks[:, :0], AROUND.weights).fit(SCORES)
    assert fit.coefficients.shape == (3, 0)
    np.testing.assert_allclose(fit.adjusted_r2, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("coefficients", "errors", "settled"),
    [
        ([5, -3, 1], [0.1, 0.1, 0.1], 3),
        ([1, 5, -3], [0.1, 0.1, 0.1], 3),
        ([5, -3, 2.9], [0.1, 0.1, 0.1], 1),
        ([5, -4.9, 1], [0.1, 0.1, 0.1], 0),
        ([5, 3, 1, 1], [0.1, 0.1, 0.1, 0.1], 2),
        # The interval of the third reaches beyond the second, into the first.
        ([5, 3, 1], [0.1, 0.1, 2.1], 0),
        ([5, 0, 0], [0.1, 0, 0], 1),
        ([0, 0], [0, 0], 0),
        ([2], [9], 1),
        ([], [], 0),
    ],
)
def test_an_order_is_settled_as_far_as_no_later_interval_overlaps(
    coefficients: list[float], errors: list[float], settled: int
) -> None:
    values: list[NDArray[np.float64]] = [np.array([each], dtype=np.float64) for each in (coefficients, errors)]
    assert order_settled(*values).tolist() == [settled]
