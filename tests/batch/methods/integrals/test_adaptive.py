"""The adaptive integral on functions whose path integrals have a closed form."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from whyport.batch.methods.integrals.adaptive import AdaptiveIntegral
from whyport.batch.methods.integrals.path import Paths, Starts
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MEMORY
from whyport.runtime.bundle.references import References

FEATURES = 6
EVERY = PlayerMap(tuple("abcdef"), np.arange(FEATURES), np.arange(FEATURES), False)


class Additive:
    """f(x) = the sum of scale_i * relu(x_i - threshold_i) ** power: a kink on every path, or a smooth curve."""

    def __init__(self, power: int, threshold: float = 0.2) -> None:
        self.power, self.threshold = power, threshold
        self.scale = np.linspace(1.0, 2.0, FEATURES)

    def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        return self.scale * np.maximum(rows.astype(np.float64) - self.threshold, 0) ** self.power

    def cells(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.parts(rows).sum(axis=1, keepdims=True).astype(np.float32)

    def gradients(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        above = np.maximum(rows.astype(np.float64) - self.threshold, 0)
        slope = self.power * above ** (self.power - 1) * (above > 0)
        return (self.scale * slope).astype(np.float32), self.parts(rows).sum(axis=1)


def request_of(rows: NDArray[np.float32]) -> Request:
    """The first score of each row; paths do not look at the scores."""
    scores = np.zeros((len(rows), 1), dtype=np.float32)
    return Request.of_one_target(rows, scores, np.zeros(len(rows), dtype=np.int64))


def make_paths(model: Any, rows: int, references: int) -> Paths:
    generator = np.random.default_rng(0)
    weights = generator.uniform(0.5, 1.5, references)
    sample = References(generator.normal(size=(references, FEATURES)).astype(np.float32), weights / weights.sum())
    ends = generator.normal(size=(rows, FEATURES)).astype(np.float32)
    return Paths(model, Starts(model, sample, MEMORY), request_of(ends), EVERY)


def closed_form(model: Additive, paths: Paths) -> NDArray[np.float64]:
    """Every feature's own change: the functions are additive."""
    references = paths._references
    return model.parts(paths._cells) - references.weights @ model.parts(references.cells)


def test_memory_follows_players_and_not_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two players share the cells: gradients are computed a few at a time, and nodes hold two numbers."""
    model = Additive(2)
    whole = make_paths(model, 20, 3)
    expected, evaluations = AdaptiveIntegral(whole, np.full(20, 0.01), 5, 10_000, 10**6).compute()
    monkeypatch.setattr("whyport.batch.methods.integrals.path.CELLS_AT_ONCE", 4 * FEATURES)
    of_cell = np.arange(FEATURES) % 2
    paths = Paths(model, whole._references, whole._request, PlayerMap(("a", "b"), of_cell, of_cell, True))
    seen, evaluate = [], paths.evaluate
    monkeypatch.setattr(paths, "evaluate", lambda path, at: (seen.append(len(path)), evaluate(path, at))[1])
    rule = AdaptiveIntegral(paths, np.full(20, 1e9), 5, 10_000, 10**6)
    assert rule._first_nodes(np.arange(20)).shares.shape == (20 * 3 * 7, 2)
    assert max(seen) == 4
    exact = closed_form(model, paths)
    got, _ = AdaptiveIntegral(paths, np.full(20, 0.01), 5, 10_000, 10**6).compute()
    np.testing.assert_allclose(got, np.stack([exact[:, of_cell == side].sum(axis=1) for side in (0, 1)], 1), atol=0.05)
    single = PlayerMap(whole._players.names, whole._players.of_column, whole._players.of_cell, False)
    few = Paths(model, whole._references, whole._request, single)
    sliced, same = AdaptiveIntegral(few, np.full(20, 0.01), 5, 10_000, 10**6).compute()
    np.testing.assert_allclose(sliced, expected, atol=1e-6)
    np.testing.assert_array_equal(same, evaluations)


@pytest.mark.parametrize("references", [1, 7])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_every_feature_is_within_the_tolerance(power: int, references: int) -> None:
    model = Additive(power)
    paths = make_paths(model, 200, references)
    tolerance = np.full(200, 0.01)
    integrals, evaluations = AdaptiveIntegral(paths, tolerance, 5, 10_000, 10**6).compute()
    expected = closed_form(model, paths)
    assert np.abs(integrals.sum(axis=1) - expected.sum(axis=1)).max() <= 0.0101
    np.testing.assert_allclose(integrals, expected, atol=0.03)
    assert np.sqrt(np.mean((integrals - expected) ** 2)) <= 0.01
    assert evaluations.max() < 10_000


@pytest.mark.parametrize("references", [1, 3, 40])
@pytest.mark.parametrize("cap", [1, 2, 7, 40, 41, 121, 122, 300])
def test_no_row_takes_more_gradients_than_the_cap(references: int, cap: int) -> None:
    paths = make_paths(Additive(1), 20, references)
    integrals, evaluations = AdaptiveIntegral(paths, np.full(20, 1e-12), 3, cap, 10**6).compute()
    assert evaluations.max() <= cap
    assert (evaluations >= min(cap, 1 + 3 * references)).mean() > 0.5  # the cap is used, too
    assert np.isfinite(integrals).all()


def test_a_linear_function_needs_no_refinement() -> None:
    paths = make_paths(Additive(1, threshold=-100.0), 20, 3)
    _, evaluations = AdaptiveIntegral(paths, np.full(20, 1e-3), 4, 10_000, 10**6).compute()
    assert evaluations.tolist() == [1 + 3 * 4] * 20


def test_intervals_are_halved_where_the_kinks_are() -> None:
    model = Additive(1)
    paths = make_paths(model, 200, 1)
    _, adaptive = AdaptiveIntegral(paths, np.full(200, 1e-3), 5, 10_000, 10**6).compute()
    # An even rule's error is up to length / 8 for each kink: this many nodes would be needed.
    needed = np.abs(paths.direction(np.arange(200)) * model.scale).sum(axis=1) / (8 * 1e-3)
    assert adaptive.mean() < 0.2 * needed.mean()


def test_the_mean_over_references_needs_less_than_each_of_them() -> None:
    model = Additive(1)
    alone, together = make_paths(model, 50, 1), make_paths(model, 50, 60)
    tolerance = np.full(50, 0.003)
    _, of_one = AdaptiveIntegral(alone, tolerance, 2, 100_000, 10**6).compute()
    integrals, of_all = AdaptiveIntegral(together, tolerance, 2, 100_000, 10**6).compute()
    np.testing.assert_allclose(integrals, closed_form(model, together), atol=0.01)
    assert of_all.mean() < 0.6 * 60 * of_one.mean()
    assert of_all.mean() < 60 * 13


def test_errors_of_different_references_cancel() -> None:
    """Seen from one place many times over, the nodes are those of one long path and not the same again and again."""
    model: Any = Additive(1)
    place = np.full((1, FEATURES), -1.0, dtype=np.float32)
    ends = np.random.default_rng(0).normal(size=(100, FEATURES)).astype(np.float32)

    def error(references: int) -> float:
        sample = References(place.repeat(references, axis=0), np.full(references, 1 / references))
        paths = Paths(model, Starts(model, sample, MEMORY), request_of(ends), EVERY)
        integrals, evaluations = AdaptiveIntegral(paths, np.full(100, np.inf), 3, 10_000, 10**6).compute()
        assert evaluations.tolist() == [1 + 3 * references] * 100
        return float(np.abs(integrals - closed_form(model, paths)).mean())

    assert error(50) < 0.2 * error(1)


def test_rows_are_left_at_the_limit() -> None:
    paths = make_paths(Additive(1), 50, 2)
    _, evaluations = AdaptiveIntegral(paths, np.full(50, 1e-9), 3, 40, 10**6).compute()
    assert (evaluations >= 40).all()
    assert evaluations.max() <= 1.25 * 40 + 4  # what the last halving adds


class Codes(Additive):
    """The second feature is a code: the score jumps with it, at each half, and its gradient is 0."""

    def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        found = super().parts(rows)
        found[:, 1] = 3 * np.floor(2 * rows[:, 1])
        return found

    def gradients(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        slopes, scores = super().gradients(rows, targets)
        slopes[:, 1] = 0
        return slopes, scores


@pytest.mark.parametrize("power", [1, 3])
@pytest.mark.parametrize("nodes", [None, 5])
def test_a_row_ends_where_only_jumps_of_the_score_are_missing(power: int, nodes: int | None) -> None:
    model = Codes(power)
    paths = make_paths(model, 200, 1)
    integrals, evaluations = AdaptiveIntegral(paths, np.full(200, 0.01), nodes, 5000, 10**6).compute()
    expected = closed_form(model, paths)
    jumps = expected[:, 1].copy()
    assert (np.abs(jumps) > 1).mean() > 0.8
    expected[:, 1] = 0
    np.testing.assert_allclose(integrals, expected, atol=0.02)
    assert evaluations.max() < 400


class First(Additive):
    """Only the first feature counts."""

    def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        return super().parts(rows) * (np.arange(FEATURES) == 0)

    def gradients(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        slopes, _ = super().gradients(rows, targets)
        return slopes * np.float32([1, 0, 0, 0, 0, 0]), self.parts(rows).sum(axis=1)


class Steep(First):
    """It rises within a thousandth of a path."""

    def parts(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.tanh(2000 * (rows.astype(np.float64) - 0.2)) * (np.arange(FEATURES) == 0)

    def gradients(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        slope = 2000 / np.cosh(np.clip(2000 * (rows.astype(np.float64) - 0.2), -300, 300)) ** 2
        return (slope * (np.arange(FEATURES) == 0)).astype(np.float32), self.parts(rows).sum(axis=1)


def test_a_steep_score_is_no_jump() -> None:
    model = Steep(1)
    paths = make_paths(model, 100, 1)
    expected = closed_form(model, paths)
    assert (np.abs(expected).max(axis=1) > 1).mean() > 0.3
    integrals, _ = AdaptiveIntegral(paths, np.full(100, 0.02), None, 10_000, 10**6).compute()
    np.testing.assert_allclose(integrals, expected, atol=0.021)


def test_intervals_that_are_right_are_not_halved_with_the_others() -> None:
    """One kink, and a tolerance that only its interval misses: one gradient a halving."""

    model = First(1)
    paths = make_paths(model, 100, 1)
    integrals, evaluations = AdaptiveIntegral(paths, np.full(100, 1e-4), 15, 10_000, 10**6).compute()
    np.testing.assert_allclose(integrals, closed_form(model, paths), atol=3e-4)
    assert evaluations.max() <= 16 + 14
