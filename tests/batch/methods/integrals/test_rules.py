"""The nested rules against what integrals of polynomials are, and against numpy's own rule."""

import numpy as np
import pytest
from numpy.polynomial import legendre

from whyport.batch.methods.integrals.rules import SIZES, rule

DEGREES = {7: 7, 13: 23, 25: 37, 49: 73}
"""Up to which degree each rule is exact."""


@pytest.mark.parametrize("size", SIZES)
def test_a_rule_is_exact_for_polynomials_up_to_its_degree(size: int) -> None:
    used = rule(size)
    for degree in range(DEGREES[size] + 1):
        assert used.transform[0] @ used.positions**degree == pytest.approx(1 / (degree + 1), abs=1e-14)
    assert (used.errors[: DEGREES[size] + 1] < 1e-13).all()
    assert used.errors[DEGREES[size] + 1] > 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_weights_are_positive_and_symmetric(size: int) -> None:
    weights = rule(size).transform[0]
    assert (weights > 0).all()
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-10)


@pytest.mark.parametrize("size", SIZES[:-1])
def test_every_node_is_a_node_of_the_next_rule(size: int) -> None:
    np.testing.assert_array_equal(rule(2 * size - 1).positions[::2], rule(size).positions)


@pytest.mark.parametrize("size", SIZES)
def test_coefficients_are_those_of_the_polynomial(size: int) -> None:
    expected = np.random.default_rng(size).normal(size=size)
    values = legendre.legval(2 * rule(size).positions - 1, expected)
    np.testing.assert_allclose(rule(size).transform @ values, expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("degree", [10, 24, 26, 40])
def test_errors_are_those_of_each_of_legendres_polynomials(size: int, degree: int) -> None:
    """Gauss and Legendre's rule of 60 nodes integrates them exactly: to 0."""
    if degree >= len(rule(size).errors):
        return
    nodes, weights = legendre.leggauss(60)
    column = [0] * degree + [1]
    exact = weights @ legendre.legval(nodes, column) / 2
    off = rule(size).transform[0] @ legendre.legval(2 * rule(size).positions - 1, column) - exact
    assert rule(size).errors[degree] == pytest.approx(abs(off), abs=1e-12)
