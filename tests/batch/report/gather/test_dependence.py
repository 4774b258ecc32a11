"""Partial dependence and the rows' own curves, beside the closed form and scikit-learn's."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence

from support.bundles import BIAS, IMPUTATION, WEIGHTS, linear_bundle, logits_of
from support.columns import number_column
from whyport.batch.report.gather.dependence import GRID, Dependence, Grid, dependence, number_values
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

ROWS = np.random.default_rng(8).normal(size=(30, 3)).astype(np.float32)


def computed(bundle: Path, rows: NDArray[np.float32], position: int) -> Dependence:
    grid = Grid(number_column("abc"[position]), position, number_values(rows[:, position]))
    found = dependence(Session(Bundle.read(bundle), "cpu"), rows, grid, ("yes", "no"))
    assert found is not None
    return found


@pytest.mark.parametrize("position", range(3))
def test_the_curves_of_a_linear_model_are_lines(bundle: Path, position: int) -> None:
    found = computed(bundle, ROWS, position)
    for target, weights, bias in zip(("no", "yes"), WEIGHTS.astype(float), BIAS, strict=True):
        others = np.delete(ROWS, position, axis=1) @ np.delete(weights, position) + bias
        lines = others[:, None] + weights[position] * found.grid.values
        np.testing.assert_allclose(found.curves(target), lines, atol=1e-5)
        np.testing.assert_allclose(found.mean(target), lines.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(found.level(target), (ROWS @ weights + bias).mean(), atol=1e-5)
    np.testing.assert_array_equal(found.found, ROWS[:, position])


class Scores(RegressorMixin, BaseEstimator):
    """A session's score of one target, as an estimator of scikit-learn."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fitted_ = True

    def fit(self) -> None:
        """The model is fitted already."""

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        return self.session.run(rows.astype(np.float32), ["logits"])["logits"][:, 1]


def test_the_curves_of_a_network_are_those_of_scikit_learn(reference_bundle: Path) -> None:
    session = Session(Bundle.read(reference_bundle), "cpu")
    rows = References.read(session.bundle).rows[:20]
    for position in (0, 7):
        grid = Grid(number_column("feature"), position, number_values(rows[:, position]))
        found = dependence(session, rows, grid, (session.task.targets[1],))
        expected = partial_dependence(
            Scores(session), rows, [position], custom_values={position: grid.values}, method="brute", kind="both"
        )
        assert found is not None
        np.testing.assert_allclose(found.scores[:, :, 0], expected["individual"][0], rtol=1e-6)
        np.testing.assert_allclose(found.mean(session.task.targets[1]), expected["average"][0], rtol=1e-6)


def test_a_missing_value_is_the_model_s_own_matter(bundle: Path) -> None:
    rows = ROWS.copy()
    rows[0, 0] = np.nan
    found = computed(bundle, rows, 1)
    rows[0, 0] = IMPUTATION[0]
    np.testing.assert_allclose(found.own[:, 0], logits_of(rows)[:, 1], atol=1e-5)
    assert np.isnan(computed(bundle, np.where([True, False, False], np.nan, ROWS), 1).own).sum() == 0


def test_rows_without_a_finite_score_have_no_curve(tmp_path: Path) -> None:
    path = linear_bundle(tmp_path / "bounded", bounded=True)
    rows = np.array([[0, 0, 0], [9, 0, 0], [1, 0, 0]], dtype=np.float32)
    found = computed(path, rows, 2)
    assert len(found.found) == 2
    assert dependence(Session(Bundle.read(path), "cpu"), rows[1:2], found.grid, ("no",)) is None
    assert dependence(Session(Bundle.read(path), "cpu"), rows[:0], found.grid, ("no",)) is None


def test_a_grid_is_of_values_that_occur() -> None:
    generator = np.random.default_rng(0)
    many = generator.normal(size=500)
    values = number_values(many)
    assert len(values) == GRID
    assert set(values) <= set(many.astype(np.float32))
    at = np.searchsorted(np.sort(many.astype(np.float32)), values) / 499
    np.testing.assert_allclose(at, np.linspace(0.01, 0.99, GRID), atol=0.002)
    np.testing.assert_array_equal(number_values(np.array([3, np.nan, 1, 3, np.inf])), [1, 3])
    assert len(number_values(np.array([np.nan]))) == 0


def test_shares_are_of_the_rows_own_values(bundle: Path) -> None:
    rows = ROWS.copy()
    rows[:, 0] = np.arange(30) % 3 == 0
    found = computed(bundle, rows, 0)
    np.testing.assert_allclose(found.shares(), [20 / 30, 10 / 30])
