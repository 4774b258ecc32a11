import numpy as np
import pytest

from support.boosters import AMOUNT, HOLES, ROWS, THREE, TWO, both, hard_rows, outputs_of, rows_off, source
from whyport.exporter.kinds.lightgbm import LightGBMModel
from whyport.runtime.errors import ExportError

lgb = pytest.importorskip("lightgbm")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Files are read at once, without a process that takes seconds to start."""
    monkeypatch.setattr("whyport.exporter.kinds.lightgbm.probe_file", lambda path, library: None)


POSITIVE = ("poisson", "gamma", "tweedie", "mape")
VALUES = (
    *("regression", "regression_l1", "huber", "fair", "quantile", "cross_entropy", "cross_entropy_lambda"),
    *("lambdarank", "rank_xendcg"),
    *POSITIVE,
)
CLASSES = ("binary", "multiclass")
GROWN = {
    "plain": {},
    "dart": {"boosting": "dart"},
    "rf": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "goss": {"data_sample_strategy": "goss"},
    "extra": {"extra_trees": True},
    "monotone": {"monotone_constraints": [1, 0, 0, 0, 0, -1]},
    "without missing": {"use_missing": False},
    "stumps": {"min_data_in_leaf": 2000},
}


def train(objective, rounds=12, **options):
    labels = THREE if "multi" in objective else AMOUNT if objective in (*POSITIVE, "regression") else TWO
    options |= {"num_class": 3} if "multi" in objective else {}
    table = lgb.Dataset(HOLES, labels, group=[200, 400] if "rank" in objective else None)
    settings = {"objective": objective, "verbosity": -1, "seed": 1, "min_data_in_leaf": 5, "num_threads": 1}
    return lgb.train(settings | options, table, rounds)


def check(booster, rows, unit=1.0):
    """The graph's outputs are those of the booster on every row."""
    outputs = outputs_of(LightGBMModel(booster, source()).boosted.model(), rows)
    predicted = booster.predict(rows)
    if "value" in outputs:
        assert rows_off(outputs["value"], predicted) == 0
        return
    assert rows_off(outputs["margin"], both(booster.predict(rows, raw_score=True) * unit)) == 0
    expected = predicted if predicted.ndim == 2 else np.c_[1 - predicted, predicted]
    assert rows_off(outputs["probabilities"], expected) == 0


@pytest.mark.parametrize("objective", CLASSES + VALUES)
def test_every_objective_gives_what_it_predicts(objective):
    check(train(objective), hard_rows(5000))


@pytest.mark.parametrize("grown", list(GROWN)[1:])
@pytest.mark.parametrize("objective", ["binary", "multiclass", "poisson"])
def test_trees_of_every_growth(objective, grown):
    # Raw scores of a random forest are sums, and its probabilities are those of a mean.
    check(train(objective, **GROWN[grown]), hard_rows(5000), unit=1 / 12 if grown == "rf" else 1)


@pytest.mark.heavy
@pytest.mark.parametrize("grown", GROWN)
@pytest.mark.parametrize("objective", CLASSES + VALUES)
def test_a_hundred_thousand_rows(objective, grown):
    if grown == "monotone" and objective in ("regression_l1", "quantile", "mape"):
        pytest.skip("LightGBM trains no such model")
    booster = train(objective, rounds=100, **GROWN[grown])
    check(booster, hard_rows(100_000), unit=1 / booster.current_iteration() if grown == "rf" else 1)


def test_the_margin_is_the_logarithm_of_the_odds_whatever_the_sigmoid():
    check(train("binary", sigmoid=2.0), hard_rows(5000), unit=2.0)


def test_values_next_to_nothing_are_zeros_on_both_sides():
    booster = train("multiclass", rounds=20)
    assert "e-35" in booster.model_to_string()
    near = np.float32(1e-35)
    values = [sign * value for value in (near, np.nextafter(near, 0), np.nextafter(near, 1), 0) for sign in (-1, 1)]
    rows = hard_rows(4000)
    rows[:, 5] = np.resize(np.array(values, dtype=np.float32), len(rows))
    check(booster, rows)


def test_a_regression_of_square_roots_is_squared():
    check(train("regression", reg_sqrt=True), hard_rows(5000))


def test_a_large_mean_costs_no_digits():
    model = lgb.LGBMRegressor(n_estimators=50, verbose=-1, n_jobs=1).fit(HOLES, ROWS[:, 0] * 1e4 + 1e6)
    check(model.booster_, hard_rows(5000))


def test_training_that_stopped_early_predicts_with_its_best_round(tmp_path):
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    held_out = lgb.Dataset(ROWS[:60], 1 - TWO[:60])
    stop = lgb.early_stopping(3, verbose=False)
    model = lgb.train(settings, lgb.Dataset(HOLES, TWO), 40, [held_out], callbacks=[stop], keep_training_booster=True)
    assert model.best_iteration < model.current_iteration()
    model.save_model(tmp_path / "model.txt")
    rows = hard_rows(500)
    best = model.predict(rows, num_iteration=model.best_iteration)
    for given in (model, tmp_path / "model.txt"):
        kind = LightGBMModel(given, source())
        assert rows_off(outputs_of(kind.boosted.model(), rows)["probabilities"], np.c_[1 - best, best]) == 0
        np.testing.assert_allclose(kind.answers(rows), best, rtol=1e-9)


def test_classes_have_the_names_that_the_model_was_trained_with():
    names = np.array(["low", "middle", "high"])[THREE]
    fitted = lgb.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1)
    assert LightGBMModel(fitted.fit(ROWS, names), source()).facts(()).targets == ("high", "low", "middle")
    assert LightGBMModel(fitted.fit(ROWS, TWO + 7), source()).facts(()).targets == ("7", "8")
    assert LightGBMModel(fitted.fit(ROWS, TWO), source()).facts(()).targets == ()


def test_names_with_spaces_are_the_samples_own():
    pandas = pytest.importorskip("pandas")
    names = ["body mass", "wing span", "age", "d", "e", "f"]
    table = pandas.DataFrame(HOLES, columns=names)
    kind = LightGBMModel(lgb.LGBMRegressor(n_estimators=2, verbose=-1, n_jobs=1).fit(table, AMOUNT), source())
    assert kind.facts(tuple(reversed(names))).features == tuple(names)
    assert kind.facts(("age",)).features == ("body_mass", "wing_span", "age", "d", "e", "f")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: train("regression", zero_as_missing=True), "takes 0 for a missing value"),
        (lambda: train("regression", linear_tree=True), "the leaves are linear models"),
        (lambda: train("multiclassova"), "do not sum to 1; train with the objective multiclass"),
        (lambda: lgb.LGBMClassifier(), "LGBMClassifier is not fitted"),
        (lambda: lgb.LGBMRegressor, "expected a model or a booster of LightGBM, got type"),
        (
            lambda: lgb.LGBMRegressor(verbose=-1, n_jobs=1, objective=lambda y, p: (p - y, y * 0 + 1)).fit(
                ROWS, AMOUNT
            ),
            "objective 'custom'",
        ),
    ],
)
def test_what_is_no_sum_of_trees_is_refused_by_name(make, message):
    with pytest.raises(ExportError, match=message):
        _ = LightGBMModel(make(), source()).boosted


def test_splits_by_categories_are_refused_with_a_way_out():
    rows = ROWS.copy()
    rows[:, 5] = THREE * 7 % 5
    model = lgb.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1, min_data_per_group=1).fit(
        rows, THREE, categorical_feature=[5]
    )
    with pytest.raises(ExportError, match="one-hot, in a scikit-learn pipeline"):
        _ = LightGBMModel(model, source()).boosted


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "model.txt"
    for content, message in {
        b"a,b\n1,2\n": "model.txt is no model of LightGBM",
        train("binary").model_to_string().encode()[:3000]: "model.txt is damaged",
        b"tree\nversion=v4\nend of trees\n": "model.txt is no model of LightGBM",
        b"tree\n\xff\nend of trees\n": "model.txt is no model of LightGBM",
    }.items():
        path.write_bytes(content)
        with pytest.raises(ExportError, match=message):
            _ = LightGBMModel(path, source()).boosted
