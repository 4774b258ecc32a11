import json

import numpy as np
import pytest

import whyport
from support.boosters import AMOUNT, HOLES, PAIR, ROWS, THREE, TWO, both, hard_rows, outputs_of, rows_off, source
from whyport.exporter.kinds.xgboost import XGBoostModel
from whyport.runtime.errors import ExportError, ProviderError
from whyport.runtime.session import Session

xgb = pytest.importorskip("xgboost")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Files are read at once, without a process that takes seconds to start."""
    monkeypatch.setattr("whyport.exporter.kinds.xgboost.probe_file", lambda path, library: None)


POSITIVE = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "reg:squaredlogerror")
VALUES = (
    *("reg:squarederror", "reg:logistic", "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror"),
    *("survival:aft", "rank:pairwise", "rank:ndcg", "rank:map"),
    *POSITIVE,
)
CLASSES = ("binary:logistic", "multi:softprob", "multi:softmax")
GROWN = {
    "plain": {},
    "dart": {"booster": "dart", "rate_drop": 0.3},
    "parallel": {"num_parallel_tree": 3, "subsample": 0.5},
    "monotone": {"monotone_constraints": "(1,0,0,0,0,-1)"},
    "leafwise": {"grow_policy": "lossguide", "max_leaves": 7, "max_depth": 0},
    "stumps": {"max_depth": 1, "gamma": 1e9},
}


def train(objective, rounds=12, **options):
    labels = THREE if "multi" in objective else AMOUNT if objective in POSITIVE else TWO
    table = xgb.DMatrix(HOLES, labels)
    if objective.startswith("rank"):
        table.set_group([200, 400])
    if "aft" in objective:
        table.set_float_info("label_lower_bound", AMOUNT)
        table.set_float_info("label_upper_bound", AMOUNT)
    options |= {"quantile_alpha": [0.1, 0.9]} if "quantile" in objective else {}
    options |= {"num_class": 3} if "multi" in objective else {}
    return xgb.train({"objective": objective, "max_depth": 4, "seed": 1, **options}, table, rounds)


def check(booster, rows):
    """The graph's outputs are those of the booster on every row."""
    table = xgb.DMatrix(rows)
    boosted = XGBoostModel(booster, source()).boosted
    outputs = outputs_of(boosted.model(), rows)
    if "value" in outputs:
        assert rows_off(outputs["value"], booster.predict(table)) == 0
        return
    margins = both(booster.predict(table, output_margin=True))
    assert rows_off(outputs["margin"], margins) == 0
    powers = np.exp(margins) if margins.shape[1] > 2 else 1 / (1 + np.exp(-margins))
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert rows_off(outputs["probabilities"], expected) == 0


@pytest.mark.parametrize("objective", CLASSES + VALUES)
def test_every_objective_gives_what_it_predicts(objective):
    check(train(objective), hard_rows(5000))


@pytest.mark.parametrize("grown", list(GROWN)[1:])
@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "count:poisson"])
def test_trees_of_every_growth(objective, grown):
    check(train(objective, **GROWN[grown]), hard_rows(5000))


@pytest.mark.heavy
@pytest.mark.parametrize("grown", GROWN)
@pytest.mark.parametrize("objective", CLASSES + VALUES)
def test_a_hundred_thousand_rows(objective, grown):
    # Both sum in float32, in another order: the exponential of a sum of 300 trees shows it.
    rounds = 33 if grown == "parallel" else 100
    check(train(objective, rounds=rounds, **GROWN[grown]), hard_rows(100_000))


def test_the_wrappers_of_scikit_learn_predict_the_same():
    rows = hard_rows(5000)
    models = {
        xgb.XGBClassifier(n_estimators=10, base_score=0.3): TWO,
        xgb.XGBRFClassifier(n_estimators=10): THREE,
        xgb.XGBRFRegressor(n_estimators=10): AMOUNT,
        xgb.XGBRegressor(n_estimators=10): PAIR,
        xgb.XGBClassifier(n_estimators=10, objective="reg:logistic"): TWO,
    }
    for model, labels in models.items():
        outputs = outputs_of(XGBoostModel(model.fit(HOLES, labels), source()).boosted.model(), rows)
        if hasattr(model, "predict_proba"):
            assert rows_off(outputs["probabilities"], model.predict_proba(rows)) == 0
            assert rows_off(outputs["margin"], both(model.predict(rows, output_margin=True))) == 0
        else:
            assert rows_off(outputs["value"], model.predict(rows)) == 0


def test_training_that_stopped_early_predicts_with_its_best_round_where_the_library_does(tmp_path):
    model = xgb.XGBClassifier(n_estimators=40, early_stopping_rounds=3)
    model.fit(HOLES, TWO, eval_set=[(ROWS[:60], 1 - TWO[:60])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    for name in ("model.json", "model.ubj"):
        model.save_model(tmp_path / name)
    model.get_booster().save_model(tmp_path / "booster.json")
    rows = hard_rows(500)
    best, whole = model.predict_proba(rows), model.get_booster().predict(xgb.DMatrix(rows))
    for given in (model, tmp_path / "model.json", tmp_path / "model.ubj"):
        kind = XGBoostModel(given, source())
        assert rows_off(outputs_of(kind.boosted.model(), rows)["probabilities"], best) == 0
        np.testing.assert_allclose(kind.answers(rows), best[:, 1], rtol=1e-6)
    for given in (model.get_booster(), tmp_path / "booster.json"):
        boosted = XGBoostModel(given, source()).boosted
        assert rows_off(outputs_of(boosted.model(), rows)["probabilities"], np.c_[1 - whole, whole]) == 0


def test_features_are_known_by_name_whatever_the_names_look_like():
    names = ["f5", "f4", "f3", "f2", "f1", "f0"]
    booster = xgb.train({"objective": "binary:logistic"}, xgb.DMatrix(HOLES, TWO, feature_names=names), 5)
    kind = XGBoostModel(booster, source())
    facts = kind.facts(("x",) * 6)
    assert facts.features == tuple(names)
    assert facts.takes_missing == frozenset(names)
    rows = hard_rows(500)
    expected = booster.predict(xgb.DMatrix(rows, feature_names=names))
    assert rows_off(outputs_of(kind.boosted.model(), rows)["probabilities"], np.c_[1 - expected, expected]) == 0


def test_a_large_base_costs_no_digits():
    model = xgb.XGBRegressor(n_estimators=50).fit(HOLES, ROWS[:, 0] * 1e4 + 1e6)
    rows = hard_rows(5000)
    boosted = XGBoostModel(model, source()).boosted
    assert rows_off(outputs_of(boosted.model(), rows)["value"], model.predict(rows)) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: xgb.XGBClassifier(booster="gblinear").fit(ROWS, TWO), "gblinear has no trees"),
        (lambda: xgb.XGBRegressor(multi_strategy="multi_output_tree").fit(ROWS, PAIR), "one_output_per_tree"),
        (lambda: xgb.XGBClassifier(missing=0.0).fit(ROWS, TWO), "takes 0.0 for a missing value"),
        (lambda: xgb.XGBClassifier(), "XGBClassifier is not fitted"),
        (lambda: xgb.XGBClassifier(n_estimators=5).fit(ROWS, np.c_[TWO, 1 - TWO]), "yes-or-no questions"),
        (lambda: train("binary:logitraw"), "the same trees saved with the objective binary:logistic"),
        (lambda: train("binary:hinge"), "classes without probabilities"),
        (lambda: xgb.XGBClassifier, "expected a model or a booster of XGBoost, got type"),
        (lambda: xgb.XGBRegressor(objective=lambda y, p: (p - y, y * 0 + 1)).fit(ROWS, AMOUNT), "function of its own"),
    ],
)
def test_what_is_no_sum_of_trees_is_refused_by_name(make, message):
    with pytest.raises(ExportError, match=message):
        _ = XGBoostModel(make(), source()).boosted


def test_trees_behind_an_exponential_have_no_trees_file_and_stay_on_the_cpu_too(tmp_path):
    train("count:poisson", rounds=2).save_model(tmp_path / "model.json")
    np.savetxt(tmp_path / "rows.csv", ROWS[:60], delimiter=",", header="a,b,c,d,e,f", comments="")
    options = {"task": "regression", "targets": ["visits"], "explain_references": 0}
    bundle = whyport.export(tmp_path / "model.json", tmp_path / "rows.csv", tmp_path / "bundle", **options)
    assert bundle.sidecar.graph("trees") is None
    assert "the exponential of the trees' sum" in bundle.sidecar.capabilities["treeshap"].reason
    with pytest.raises(ProviderError, match="bundle 'bundle' is a model of TreeEnsembleRegressor"):
        Session(bundle, "cuda")
    assert Session(bundle, "auto").provider.device == "cpu"


def test_splits_by_categories_are_refused_with_a_way_out():
    columns = np.column_stack([ROWS[:, 0], THREE * 7 % 5])
    table = xgb.DMatrix(columns, THREE, feature_types=["float", "c"], enable_categorical=True)
    model = xgb.train({"objective": "multi:softprob", "num_class": 3}, table, 5)
    with pytest.raises(ExportError, match="one-hot, in a scikit-learn pipeline"):
        _ = XGBoostModel(model, source()).boosted


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "model.json is no valid JSON"),
        (b"[1]", "it has no 'learner'"),
        (b'{"layers": 3}', "it has no 'learner'"),
        (b'{"learner": {}}', "model.json is no model of XGBoost"),
        (b"\xff\xfe", "model.json is no valid JSON"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=message):
        _ = XGBoostModel(path, source()).boosted


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.ubj"
    train("binary:logistic").save_model(path)
    path.write_bytes(path.read_bytes()[:999])
    with pytest.raises(ExportError, match="model.ubj is no model of XGBoost"):
        _ = XGBoostModel(path, source()).boosted


def test_an_objective_that_nobody_knows_is_refused(tmp_path):
    model = json.loads(bytes(train("reg:squarederror").save_raw("json")))
    assert model["learner"]["objective"]["name"] == "reg:squarederror"
    with pytest.raises(ExportError, match="a classifier with the objective 'count:poisson' has no margins"):
        _ = XGBoostModel(xgb.XGBClassifier(objective="count:poisson").fit(ROWS, TWO), source()).boosted
