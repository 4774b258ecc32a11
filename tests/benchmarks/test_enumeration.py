"""Exact Shapley values against closed forms."""

import numpy as np
import pytest

import enumeration
from enumeration import exact_shapley

ROW = np.array([2.0, -1.0, 0.5, 3.0])
REFERENCES = np.array([[0.0, 1.0, 1.0, -1.0], [1.0, 2.0, -0.5, 0.0], [-2.0, 0.5, 3.0, 1.0]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


@pytest.fixture(autouse=True, params=[1, 7, 512])
def _call_rows(request, monkeypatch):
    """Whatever the size of a call, whose boundaries fall anywhere between coalitions."""
    monkeypatch.setattr(enumeration, "CALL_ROWS", request.param)


def test_a_linear_function_gives_each_feature_its_own_change():
    slopes = np.array([1.0, -2.0, 0.0, 0.25])
    got = exact_shapley(lambda rows: rows @ slopes + 7, ROW, REFERENCES, WEIGHTS)
    np.testing.assert_allclose(got, slopes * (ROW - WEIGHTS @ REFERENCES), atol=1e-14)


def test_a_product_of_two_gives_each_its_mean_change_over_both_orders():
    got = exact_shapley(lambda rows: rows[:, 0] * rows[:, 2], ROW, REFERENCES, WEIGHTS)
    (a, b), (r, s) = ROW[[0, 2]], REFERENCES[:, [0, 2]].T
    of_first, of_second = WEIGHTS @ ((a - r) * (b + s) / 2), WEIGHTS @ ((b - s) * (a + r) / 2)
    np.testing.assert_allclose(got, [of_first, 0, of_second, 0], atol=1e-14)


def test_a_product_against_zeros_is_shared_equally():
    """Only the last to come gains, and each of k comes last in one of k orders."""
    got = exact_shapley(lambda rows: rows.prod(axis=1), ROW, np.zeros((1, 4)), np.ones(1))
    np.testing.assert_allclose(got, np.full(4, ROW.prod() / 4), atol=1e-14)


def test_the_first_of_many_gains_where_one_suffices():
    """max of indicators: whoever comes first gains all."""
    got = exact_shapley(lambda rows: (rows > 0).max(axis=1).astype(float), np.ones(5), np.zeros((1, 5)), np.ones(1))
    np.testing.assert_allclose(got, np.full(5, 1 / 5), atol=1e-14)
