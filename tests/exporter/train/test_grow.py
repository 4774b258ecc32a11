"""Forests and boosted trees: what is fitted, how many stages are kept, and which options they have none of."""

import dataclasses

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import log_loss

from whyport.exporter.data.dataset import TableChoice, load_dataset
from whyport.exporter.data.outcome import TargetChoice
from whyport.exporter.data.split import SplitChoice
from whyport.exporter.train.architectures import ENSEMBLES, find_ensemble, has_epochs, parse_settings
from whyport.exporter.train.ensemble import ensemble_columns
from whyport.exporter.train.grow import grow
from whyport.exporter.train.settings import TrainSettings, refuse_options_of_networks
from whyport.runtime.errors import TrainingError, UsageError


def settings(name, *assignments, **options):
    return TrainSettings(name, parse_settings(name, assignments), **options)


@pytest.fixture(scope="module")
def validated(table_path):
    """The table with rows for the validation, and missing numbers left to the model."""
    split = SplitChoice(validation_fraction=0.25)
    dataset = load_dataset(TableChoice(table_path, TargetChoice(("label",)), excluded=("id",), split=split), seed=0)
    return dataclasses.replace(dataset, features=ensemble_columns(dataset.features, "boosting"))


@pytest.fixture(scope="module")
def measured(table_path):
    """Two targets of a regression."""
    choice = TableChoice(table_path, TargetChoice(("f0", "f1"), "regression"), excluded=("id", "label"))
    return load_dataset(choice, seed=0)


def test_the_settings_are_scikit_learn_s_defaults():
    for name, classifies, expected in (
        ("forest", True, RandomForestClassifier(random_state=3, n_jobs=1)),
        ("forest", False, RandomForestRegressor(random_state=3, n_jobs=1)),
        ("boosting", True, HistGradientBoostingClassifier(random_state=3, early_stopping=False)),
    ):
        ensemble = find_ensemble(name)(**parse_settings(name, []))
        made = ensemble.estimator(classifies=classifies, balanced=False, seed=3, threads=1)
        assert made.get_params() == expected.get_params()
        assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("forest", "n_estimators=0", "'n_estimators': expected at least 1, got 0"),
        ("forest", "max_features=many", "'max_features': expected auto, sqrt, log2 or a share"),
        ("forest", "max_leaf_nodes=1", "'max_leaf_nodes': expected at least 2, got 1"),
        ("boosting", "learning_rate=0", "'learning_rate': expected more than 0, got 0"),
        ("boosting", "l2_regularization=-1", "'l2_regularization': expected at least 0, got -1"),
    ],
)
def test_impossible_settings(name, assignment, message):
    with pytest.raises(TrainingError, match=message):
        find_ensemble(name)(**parse_settings(name, [assignment]))


def test_a_forest_is_fitted_on_imputed_rows(dataset):
    grown = grow(dataset, settings("forest", "n_estimators=5", seed=2))
    median = np.nanmedian(dataset.train.rows.astype(np.float64), axis=0)
    filled = np.where(np.isnan(dataset.train.rows), median, dataset.train.rows).astype(np.float32)
    expected = RandomForestClassifier(5, random_state=2).fit(filled, dataset.train.labels)
    rows = np.where(np.isnan(dataset.test.rows), median, dataset.test.rows).astype(np.float32)
    got = grown.estimator.predict_proba(grown.cells.of(dataset.test.rows))
    np.testing.assert_array_equal(got, expected.predict_proba(rows))
    assert grown.results == ()


def test_boosting_keeps_the_stages_that_the_validation_finds_best(validated):
    long = settings("boosting", "max_iter=60", "learning_rate=0.5", "min_samples_leaf=5", seed=1)
    grown = grow(validated, long)
    losses = [result.figures["validation_loss"] for result in grown.results]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == 60 > best
    assert grown.estimator.n_iter_ == best
    part = validated.validation
    chances = grown.estimator.predict_proba(grown.cells.of(part.rows))
    np.testing.assert_allclose(losses[best - 1], log_loss(part.labels, chances), rtol=1e-6)
    assert np.isnan(grown.cells.of(part.rows)).any()


def test_patience_ends_the_stages(validated):
    impatient = settings("boosting", "max_iter=60", "learning_rate=0.5", "min_samples_leaf=5", seed=1, patience=3)
    losses = [result.figures["validation_loss"] for result in grow(validated, impatient).results]
    assert len(losses) == int(np.argmin(losses)) + 1 + 3 < 60


def test_the_threads_change_no_tree(validated):
    made = [
        grow(validated, settings("boosting", "max_iter=5"), threads=threads).estimator.predict_proba(
            validated.test.rows.astype(np.float64)
        )
        for threads in (1, 2)
    ]
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_balanced_classes(dataset, name):
    few = ["n_estimators=3"] if name == "forest" else ["max_iter=3"]
    estimator = grow(dataset, settings(name, *few, class_weights="balanced")).estimator
    assert estimator.get_params()["class_weight"] == "balanced"


def test_a_forest_takes_several_targets_and_boosting_one(measured):
    grown = grow(measured, settings("forest", "n_estimators=3"))
    assert grown.estimator.predict(grown.cells.of(measured.test.rows)).shape == (len(measured.test.rows), 2)
    with pytest.raises(TrainingError, match="'boosting': expected one target of a regression, got 2; 'forest'"):
        grow(measured, settings("boosting"))


def test_options_that_do_not_fit(dataset, validated, measured):
    with pytest.raises(UsageError, match="architecture 'forest': --validation .* say which epoch is the best"):
        grow(validated, settings("forest"))
    with pytest.raises(UsageError, match="--patience needs rows that say when to stop"):
        grow(dataset, settings("boosting", patience=2))
    with pytest.raises(UsageError, match="--class-weights: a regression has no classes to weigh"):
        grow(measured, settings("forest", class_weights="balanced"))


def test_options_of_networks_are_refused_by_name():
    own = parse_settings("forest", [])
    refuse_options_of_networks("forest", own, {"--epochs": False})
    refuse_options_of_networks("mlp", {}, {"--epochs": True})
    with pytest.raises(UsageError) as caught:
        refuse_options_of_networks("forest", own, {"--epochs": True, "--loss": False, "--checkpoint": True})
    assert str(caught.value) == (
        "architecture 'forest': --epochs, --checkpoint are for networks; its settings are --set n_estimators, "
        "max_depth, max_leaf_nodes, min_samples_leaf, max_features"
    )


def test_networks_and_stages_have_epochs():
    assert [name for name in ("hybrid", "mlp", "forest", "boosting") if has_epochs(name)] == [
        "hybrid",
        "mlp",
        "boosting",
    ]
