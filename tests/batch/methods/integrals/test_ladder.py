"""The ladder of rules against closed forms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.batch.methods.integrals.test_adaptive import Additive, closed_form, make_paths
from whyport.batch.methods.integrals.adaptive import AdaptiveIntegral
from whyport.batch.methods.integrals.ladder import Rung
from whyport.batch.methods.integrals.nodes import Nodes
from whyport.batch.methods.integrals.path import Paths
from whyport.batch.methods.integrals.rules import SIZES, rule


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


def make_rung(paths: Paths, size: int) -> Rung:
    """All rows at the nodes of one rule."""
    count = paths.rows * paths.fan
    path, position = np.arange(count).repeat(size), np.tile(rule(size).positions, count)
    gradients, score = paths.evaluate(path, position)
    return Rung.of(Nodes(path, position, paths.shares(path, gradients), score * paths.weights(path)), paths.fan, size)


@pytest.mark.parametrize("references", [1, 5])
def test_cubes_take_six_gradients_a_path_and_are_exact(references: int) -> None:
    integrals, evaluations, expected = integrate(polynomial(3), 30, references, 1e-3)
    assert evaluations.tolist() == [1 + 5 * references] * 30
    np.testing.assert_allclose(integrals, expected, atol=1e-5)


@pytest.mark.parametrize("references", [1, 5])
@pytest.mark.parametrize("degree", [6, 8])
def test_up_to_degree_7_the_gradient_is_integrated_exactly_wherever_a_row_stops(degree: int, references: int) -> None:
    integrals, evaluations, expected = integrate(polynomial(degree), 40, references, 0.5)
    on_the_ladder = np.isin(evaluations, gradients_of_rules(references))
    assert on_the_ladder.mean() > 0.9
    np.testing.assert_allclose(integrals[on_the_ladder], expected[on_the_ladder], rtol=2e-6, atol=2e-5)


def gradients_of_rules(references: int) -> list[int]:
    """The gradients that a row takes on each rule."""
    return [1 + references * (size - 2) for size in SIZES]


@pytest.mark.parametrize("references", [1, 4])
def test_smooth_rows_climb_until_each_share_is_right(references: int) -> None:
    """Nodes of one rule are those of the next: a row's gradients are one rule's."""
    wave = Each(lambda x: np.sin(4 * x) / 4, lambda x: np.cos(4 * x))
    integrals, evaluations, expected = integrate(wave, 100, references, 1e-3)
    np.testing.assert_allclose(integrals, expected, atol=1e-3)
    assert np.isin(evaluations, gradients_of_rules(references)).mean() > 0.9
    paths = make_paths(wave, 100, references)
    _, halved = AdaptiveIntegral(paths, np.full(100, 1e-3), 15, 5000, 10**6).compute()
    assert evaluations.mean() < 0.4 * halved.mean()


class Cancelling(Each):
    """A wave in the first feature and its negative in the second: their errors cancel in every rule's sum."""

    def __init__(self, frequency: float) -> None:
        self.frequency = frequency

    def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        rows = rows.astype(np.float64)
        wave = np.sin(self.frequency * rows[:, :1]) / 5
        return np.hstack([wave + rows[:, :1], -wave, 0 * rows[:, 2:]])

    def gradients(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        wave = self.frequency / 5 * np.cos(self.frequency * rows[:, :1].astype(np.float64))
        slopes = np.hstack([wave + 1, -wave, 0 * rows[:, 2:]])
        return slopes.astype(np.float32), self.parts(rows).sum(axis=1)


def cancelling(frequency: float, rows: int) -> tuple[Paths, NDArray[np.float64], NDArray[np.float64]]:
    """Paths on which both features go the same way, their closed form, and a tolerance of 1 % of the sum."""
    model: Any = Cancelling(frequency)
    paths = make_paths(model, rows, 1)
    paths._cells[:, 1] = paths._cells[:, 0]
    paths._references.cells[:, 1] = paths._references.cells[:, 0]
    expected = closed_form(model, paths)
    return paths, expected, np.maximum(0.01 * np.abs(expected.sum(axis=1)), 1e-3)


def test_a_sum_that_is_right_by_chance_does_not_stop_a_row() -> None:
    paths, expected, tolerance = cancelling(25, 20)
    rung = make_rung(paths, SIZES[0])
    off = np.abs(rung.integrals - expected).max(axis=1) > 0.2 * np.abs(expected).max(axis=1)
    assert (off & (rung.incomplete < 0.01 * np.abs(expected.sum(axis=1)))).sum() > 5
    integrals, evaluations = AdaptiveIntegral(paths, tolerance, None, 5000, 10**6).compute()
    assert (evaluations[off] > SIZES[0] - 1).all()
    assert (np.abs(integrals - expected).max(axis=1) <= 3 * tolerance).all()


@pytest.mark.parametrize("frequency", [5, 15, 25, 40])
def test_no_row_stops_on_the_ladder_because_its_nodes_see_another_wave(frequency: float) -> None:
    """Waves of up to 20 periods look smooth at few nodes: their coefficients fall by chance, but not all along."""
    paths, expected, tolerance = cancelling(frequency, 200)
    integrals, evaluations = AdaptiveIntegral(paths, tolerance, None, 5000, 10**6).compute()
    stopped = np.isin(evaluations, gradients_of_rules(1))
    assert stopped.sum() > 100
    assert (np.abs(integrals - expected).max(axis=1) <= tolerance)[stopped].all()


def test_a_wave_that_nodes_do_not_resolve_climbs_on() -> None:
    paths, _, tolerance = cancelling(15, 200)
    _, evaluations = AdaptiveIntegral(paths, tolerance, None, 5000, 10**6).compute()
    _, halved = AdaptiveIntegral(paths, tolerance, 15, 5000, 10**6).compute()
    assert evaluations.mean() < 0.3 * halved.mean()


@pytest.mark.parametrize("power", [2, 3])
def test_the_estimated_errors_are_of_the_size_of_the_errors(power: int) -> None:
    """The truth is less than twice the tolerance on every row, and less than the tolerance on nearly all."""
    integrals, _, expected = integrate(Additive(power), 200, 1, 0.01, 10_000)
    errors = np.abs(integrals - expected).max(axis=1)
    assert errors.max() < 0.02
    assert (errors < 0.01).mean() > 0.95


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
@pytest.mark.parametrize("cap", [1, 2, 5, 6, 7, 11, 12, 16, 24, 34, 48, 100])
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
