"""Clenshaw and Curtis's rules, and the ladder of them, against closed forms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.batch.methods.integrals.test_adaptive import Additive, closed_form, make_paths
from whyport.batch.methods.integrals.adaptive import AdaptiveIntegral
from whyport.batch.methods.integrals.ladder import RUNGS, Rung, positions, weights
from whyport.batch.methods.integrals.nodes import Nodes


class Each(Additive):
    """f(x) = the sum of one function of each feature, with its derivative."""

    def __init__(
        self,
        function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        derivative: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> None:
        self.function, self.derivative = function, derivative

    def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        return self.function(rows.astype(np.float64))

    def gradients(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        return self.derivative(rows.astype(np.float64)).astype(np.float32), self.parts(rows).sum(axis=1)


def polynomial(degree: int) -> Each:
    """x ** degree, over its degree."""
    return Each(lambda x: x**degree / degree, lambda x: x ** (degree - 1))


def integrate(model: Any, rows: int, references: int, tolerance: float, most: int = 5000) -> tuple[Any, ...]:
    """The integrals by the ladder, the gradients, and the closed form."""
    paths = make_paths(model, rows, references)
    rule = AdaptiveIntegral(paths, np.full(rows, tolerance), None, most, 10**6)
    return *rule.compute(), closed_form(model, paths)


@pytest.mark.parametrize("intervals", [2, 4, *RUNGS])
def test_a_rule_is_exact_for_polynomials(intervals: int) -> None:
    for degree in range(intervals + 2):
        integral = weights(intervals) @ positions(intervals) ** degree
        assert integral == pytest.approx(1 / (degree + 1), abs=1e-14)
    assert weights(intervals) @ positions(intervals) ** (intervals + 2) != pytest.approx(
        1 / (intervals + 3), abs=1e-14 if intervals < 16 else 0
    )


@pytest.mark.parametrize("intervals", RUNGS[:-1])
def test_every_node_is_a_node_of_the_next_rule(intervals: int) -> None:
    np.testing.assert_array_equal(positions(2 * intervals)[::2], positions(intervals))


@pytest.mark.parametrize("references", [1, 5])
def test_cubes_take_eight_gradients_a_path_and_are_exact(references: int) -> None:
    integrals, evaluations, expected = integrate(polynomial(3), 30, references, 1e-3)
    assert evaluations.tolist() == [1 + 7 * references] * 30
    np.testing.assert_allclose(integrals, expected, atol=1e-5)


@pytest.mark.parametrize("references", [1, 5])
@pytest.mark.parametrize("degree", [6, 9])
def test_up_to_degree_8_the_gradient_is_integrated_exactly_wherever_a_row_stops(degree: int, references: int) -> None:
    integrals, evaluations, expected = integrate(polynomial(degree), 40, references, 0.5)
    on_the_ladder = np.isin(evaluations, [1 + references * (intervals - 1) for intervals in RUNGS])
    assert on_the_ladder.mean() > 0.9
    np.testing.assert_allclose(integrals[on_the_ladder], expected[on_the_ladder], rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("references", [1, 4])
def test_smooth_rows_climb_until_each_share_is_right(references: int) -> None:
    """Nodes of one rule are those of the next: a row's gradients are one rule's."""
    wave = Each(lambda x: np.sin(4 * x) / 4, lambda x: np.cos(4 * x))
    integrals, evaluations, expected = integrate(wave, 100, references, 1e-3)
    np.testing.assert_allclose(integrals, expected, atol=1e-3)
    assert np.isin(evaluations, [1 + references * (intervals - 1) for intervals in RUNGS]).mean() > 0.9
    paths = make_paths(wave, 100, references)
    _, halved = AdaptiveIntegral(paths, np.full(100, 1e-3), 15, 5000, 10**6).compute()
    assert evaluations.mean() < 0.4 * halved.mean()


def test_a_sum_that_is_right_by_chance_does_not_stop_a_row() -> None:
    """The errors of two features cancel in every rule's sum."""

    class Cancelling(Each):
        def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
            rows = rows.astype(np.float64)
            wave = np.sin(25 * rows[:, :1]) / 5
            return np.hstack([wave + rows[:, :1], -wave, 0 * rows[:, 2:]])

        def gradients(
            self, rows: NDArray[np.float32], targets: NDArray[np.int64]
        ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
            wave = 5 * np.cos(25 * rows[:, :1].astype(np.float64))
            slopes = np.hstack([wave + 1, -wave, 0 * rows[:, 2:]])
            return slopes.astype(np.float32), self.parts(rows).sum(axis=1)

    model: Any = Cancelling(np.sin, np.cos)
    paths = make_paths(model, 20, 1)
    paths._cells[:, 1] = paths._cells[:, 0]  # both features go the same way
    paths._references.cells[:, 1] = paths._references.cells[:, 0]
    expected = closed_form(model, paths)
    path, first = np.arange(20), positions(8)
    gradients, score = paths.evaluate(path.repeat(9), np.tile(first, 20))
    shares = paths.shares(path.repeat(9), gradients)
    rung = Rung.of(Nodes(path.repeat(9), np.tile(first, 20), shares, score), 1, 8)
    off = np.abs(rung.integrals - expected).max(axis=1) > 0.2 * np.abs(expected).max(axis=1)
    assert (off & (rung.incomplete < 0.01 * np.abs(expected.sum(axis=1)))).sum() > 5
    tolerance = np.maximum(0.01 * np.abs(expected.sum(axis=1)), 1e-3)
    integrals, evaluations = AdaptiveIntegral(paths, tolerance, None, 5000, 10**6).compute()
    assert (evaluations[off] > 8).all()
    assert (np.abs(integrals - expected).max(axis=1) <= 3 * tolerance).all()


@pytest.mark.parametrize("power", [1, 2, 3])
def test_rows_with_kinks_are_right_too(power: int) -> None:
    integrals, evaluations, expected = integrate(Additive(power), 200, 1, 0.01, 10_000)
    assert np.abs(integrals.sum(axis=1) - expected.sum(axis=1)).max() <= 0.0101
    np.testing.assert_allclose(integrals, expected, atol=0.03)
    assert np.sqrt(np.mean((integrals - expected) ** 2)) <= 0.01
    assert evaluations.max() < 10_000


def test_rows_with_kinks_take_at_most_a_tenth_more_than_without_the_ladder() -> None:
    model: Any = Additive(1)
    paths = make_paths(model, 200, 1)
    _, ladder = AdaptiveIntegral(paths, np.full(200, 1e-3), None, 10_000, 10**6).compute()
    _, halved = AdaptiveIntegral(paths, np.full(200, 1e-3), 15, 10_000, 10**6).compute()
    assert ladder.mean() < 1.1 * halved.mean()


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("cap", [1, 2, 7, 8, 9, 15, 16, 22, 33, 100])
def test_no_row_on_the_ladder_takes_more_gradients_than_the_cap(references: int, cap: int) -> None:
    wave = Each(lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x))
    integrals, evaluations, _ = integrate(wave, 20, references, 1e-12, cap)
    assert evaluations.max() <= cap
    assert (evaluations == cap).mean() > 0.5 or cap < 1 + references
    assert np.isfinite(integrals).all()


def test_results_do_not_depend_on_the_rows_beside_a_row() -> None:
    wave = Each(lambda x: np.sin(6 * x), lambda x: 6 * np.cos(6 * x))
    together = make_paths(wave, 60, 2)
    tolerance = np.full(60, 1e-3)
    integrals, evaluations = AdaptiveIntegral(together, tolerance, None, 5000, 10**6).compute()
    one_by_one, taken = AdaptiveIntegral(together, tolerance, None, 5000, 1).compute()
    np.testing.assert_array_equal(integrals, one_by_one)
    np.testing.assert_array_equal(evaluations, taken)
    assert len(np.unique(evaluations)) > 1


def test_a_row_with_nan_ends_and_holds_up_no_other() -> None:
    model = Each(lambda x: np.where(x > 2, np.nan, x * x / 2), lambda x: np.where(x > 2, np.nan, x))
    integrals, evaluations, expected = integrate(model, 40, 1, 1e-3)
    finite = np.isfinite(expected).all(axis=1)
    assert 0 < finite.sum() < 40
    assert evaluations.max() < 5000
    np.testing.assert_allclose(integrals[finite], expected[finite], atol=3e-3)
