import numpy as np
import pytest

from support.boosters import AMOUNT, HOLES, PAIR, ROWS, THREE, TWO, both, hard_rows, outputs_of, rows_off, source
from whyport.exporter.kinds.catboost import CatBoostModel
from whyport.runtime.errors import ExportError

catboost = pytest.importorskip("catboost")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Files are read at once, without a process that takes seconds to start."""
    monkeypatch.setattr("whyport.exporter.kinds.catboost.probe_file", lambda path, library: None)


CLASSES = ("Logloss", "CrossEntropy", "Focal:focal_alpha=0.5;focal_gamma=1", "MultiClass")
VALUES = (
    *("RMSE", "MAE", "MAPE", "Quantile:alpha=0.2", "Expectile:alpha=0.3", "Huber:delta=1", "LogCosh", "Lq:q=3"),
    *("Poisson", "Tweedie:variance_power=1.5", "MultiRMSE", "MultiQuantile:alpha=0.1,0.9"),
)
RANKS = ("YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax")
GROWN = {
    "plain": {},
    "missing last": {"nan_mode": "Max"},
    "ordered": {"boosting_type": "Ordered"},
    "flat": {"depth": 1},
    "monotone": {"monotone_constraints": [1, 0, 0, 0, 0, -1]},
}


def train(loss, iterations=12, labels=None, **options):
    settings = {"depth": 4, "verbose": 0, "allow_writing_files": False, "thread_count": 2, "random_seed": 1}
    settings |= {"iterations": iterations, "loss_function": loss, **options}
    if loss in CLASSES or "OneVsAll" in loss:
        labels = (THREE if "MultiClass" in loss else TWO) if labels is None else labels
        return catboost.CatBoostClassifier(**settings).fit(HOLES, labels)
    if loss in RANKS:
        return catboost.CatBoostRanker(**settings).fit(HOLES, TWO, group_id=np.repeat(range(60), 10))
    return catboost.CatBoostRegressor(**settings).fit(HOLES, PAIR if loss == "MultiRMSE" else AMOUNT)


def check(model, rows):
    """The graph's outputs are those of the model on every row."""
    outputs = outputs_of(CatBoostModel(model, source()).boosted.model(), rows)
    if "value" in outputs:
        assert rows_off(outputs["value"], model.predict(rows)) == 0
        return
    assert rows_off(outputs["margin"], both(model.predict(rows, prediction_type="RawFormulaVal"))) == 0
    assert rows_off(outputs["probabilities"], model.predict_proba(rows)) == 0


@pytest.mark.parametrize("loss", CLASSES + VALUES + RANKS)
def test_every_loss_gives_what_it_predicts(loss):
    check(train(loss), hard_rows(5000))


@pytest.mark.parametrize("grown", list(GROWN)[1:])
@pytest.mark.parametrize("loss", ["Logloss", "RMSE"])
def test_trees_of_every_growth(loss, grown):
    check(train(loss, **GROWN[grown]), hard_rows(5000))


@pytest.mark.heavy
@pytest.mark.parametrize("grown", list(GROWN)[:3])
@pytest.mark.parametrize("loss", CLASSES + VALUES)
def test_a_hundred_thousand_rows(loss, grown):
    check(train(loss, iterations=100, **GROWN[grown]), hard_rows(100_000))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (TWO > 0, ("False", "True")),
        (np.array(["no", "yes"])[TWO], ("no", "yes")),
        (THREE + 3, ("3", "4", "5")),
        (THREE, ()),
    ],
)
def test_classes_have_the_names_that_the_model_was_trained_with(tmp_path, labels, names):
    model = train("Logloss" if len(np.unique(labels)) == 2 else "MultiClass", labels=labels)
    check(model, hard_rows(500))
    path = tmp_path / "model.cbm"
    model.save_model(path)
    for given in (model, path):
        facts = CatBoostModel(given, source()).facts(("a", "b", "c", "d", "e", "f"))
        assert facts.targets == names
        assert facts.features == ()


def test_the_file_predicts_the_same(tmp_path):
    path = tmp_path / "model.cbm"
    rows = hard_rows(500)
    for loss in ("Logloss", "MultiClass", "Poisson", "MultiRMSE"):
        model = train(loss)
        model.save_model(path)
        kind = CatBoostModel(path, source())
        outputs = outputs_of(kind.boosted.model(), rows)
        if "value" in outputs:
            assert rows_off(outputs["value"], model.predict(rows)) == 0
            np.testing.assert_allclose(kind.answers(rows), model.predict(rows))
        else:
            assert rows_off(outputs["probabilities"], model.predict_proba(rows)) == 0
            np.testing.assert_allclose(kind.answers(rows), model.predict_proba(rows))


def test_scale_and_bias_of_the_model_count():
    model = train("RMSE")
    model.set_scale_and_bias(3.0, 1e6)
    rows = hard_rows(2000)
    outputs = outputs_of(CatBoostModel(model, source()).boosted.model(), rows)
    assert rows_off(outputs["value"], model.predict(rows)) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: train("RMSE", grow_policy="Depthwise"), "grow_policy='SymmetricTree'"),
        (lambda: train("RMSE", grow_policy="Lossguide"), "grow_policy='SymmetricTree'"),
        (lambda: train("MultiClassOneVsAll", labels=THREE), "do not sum to 1; train with MultiClass"),
        (lambda: train("RMSEWithUncertainty"), "train with RMSE"),
        (lambda: catboost.sum_models([train("RMSE", 2), train("RMSE", 3)]), "knows no loss function"),
        (lambda: catboost.CatBoostClassifier(), "CatBoostClassifier is not fitted"),
        (lambda: catboost.Pool, "expected a model of CatBoost, got type"),
    ],
)
def test_what_is_no_sum_of_trees_is_refused_by_name(make, message):
    with pytest.raises(ExportError, match=message):
        _ = CatBoostModel(make(), source()).boosted


@pytest.mark.parametrize("kind", ["cat", "text", "embedding"])
def test_inputs_that_are_no_numbers_are_refused_by_name(kind):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(ROWS, columns=list("abcdef"))
    given = {"cat": np.array(["u", "v", "w"])[THREE], "text": np.array(["u x", "v", "w y"])[THREE]}
    table["kind"] = given.get(kind, [[1.0, 2.0]] * len(ROWS))
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False)
    model.fit(table, TWO, **{f"{kind}_features": ["kind"]})
    with pytest.raises(ExportError, match=rf"\({kind}_features\).*'kind'"):
        _ = CatBoostModel(model, source()).boosted


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "model.cbm"
    for content in (b"", b"CBM1", b"tree\n", b"CBM1" + b"\xff" * 99):
        path.write_bytes(content)
        with pytest.raises(ExportError, match="model.cbm is no model of CatBoost"):
            _ = CatBoostModel(path, source()).boosted
