"""scikit-learn's forests and boosted trees, read from memory, against what they predict themselves."""

import numpy as np
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from whyport.exporter.trees.fitted import read_boosting, read_forest
from whyport.exporter.trees.links import apply_link

ROWS = 4000


@pytest.fixture(scope="module")
def table():
    """Rows with a gap here and there, and an outcome."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 4)).round(2)
    outcome = rows[:, 0] + rows[:, 1] ** 2
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows, outcome


def adversarial(rows: np.ndarray) -> np.ndarray:
    """Values of the table and midpoints of neighbours, in float32, where thresholds are; a tenth is missing."""
    random = np.random.default_rng(1)
    made = np.empty((ROWS, rows.shape[1]), dtype=np.float32)
    for j, column in enumerate(rows.T):
        known = np.unique(column[~np.isnan(column)])
        points = np.concatenate([known, (known[1:] + known[:-1]) / 2])
        made[:, j] = random.choice(points, size=ROWS)
    made[random.random(made.shape) < 0.1] = np.nan
    return made


def classes(outcome: np.ndarray, count: int) -> np.ndarray:
    return np.digitize(outcome, np.quantile(outcome, np.linspace(0, 1, count + 1)[1:-1]))


@pytest.mark.parametrize("count", [2, 3])
def test_a_forest_s_probabilities(table, count):
    rows, outcome = table
    fitted = RandomForestClassifier(9, random_state=0, class_weight="balanced").fit(rows, classes(outcome, count))
    asked = adversarial(rows)
    found = read_forest(fitted)
    np.testing.assert_allclose(found.trees.scores(asked), fitted.predict_proba(asked), atol=1e-12)
    assert found.trees.value.shape[1] == (1 if count == 2 else 3)


@pytest.mark.parametrize("targets", [1, 2])
def test_a_forest_s_values(table, targets):
    rows, outcome = table
    values = np.stack([outcome, -3 * outcome], axis=1)[:, :targets]
    fitted = RandomForestRegressor(9, random_state=0).fit(rows, values if targets > 1 else values[:, 0])
    asked = adversarial(rows)
    got = read_forest(fitted).trees.scores(asked)
    np.testing.assert_allclose(got, fitted.predict(asked).reshape(ROWS, targets), rtol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
def test_boosting_s_margins_and_probabilities(table, count):
    rows, outcome = table
    fitted = HistGradientBoostingClassifier(max_iter=9, min_samples_leaf=5).fit(rows, classes(outcome, count))
    asked = adversarial(rows)
    found = read_boosting(fitted)
    margin = fitted.decision_function(asked)
    margin = np.stack([-margin, margin], axis=1) if count == 2 else margin
    np.testing.assert_allclose(found.trees.scores(asked), margin, atol=1e-12)
    np.testing.assert_allclose(
        apply_link(found.link, found.trees.scores(asked)), fitted.predict_proba(asked), atol=1e-7
    )


def test_boosting_s_values(table):
    rows, outcome = table
    fitted = HistGradientBoostingRegressor(max_iter=9, min_samples_leaf=5).fit(rows, outcome)
    asked = adversarial(rows)
    np.testing.assert_allclose(read_boosting(fitted).trees.scores(asked)[:, 0], fitted.predict(asked), rtol=1e-12)


@pytest.mark.parametrize(
    ("read", "estimator"),
    [
        (read_forest, RandomForestRegressor(3, random_state=0, bootstrap=False)),
        (read_boosting, HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5)),
    ],
)
def test_the_weights_of_the_training_rows_at_each_node(table, read, estimator):
    rows, outcome = table
    trees = read(estimator.fit(rows, outcome)).trees
    inner = np.flatnonzero(trees.left >= 0)
    np.testing.assert_array_equal(trees.cover[trees.roots], 300)
    np.testing.assert_array_equal(trees.cover[inner], trees.cover[trees.left[inner]] + trees.cover[trees.right[inner]])
