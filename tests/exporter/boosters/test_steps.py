import numpy as np
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from support.boosters import AMOUNT, HOLES, THREE, TWO
from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.kinds.sklearn import SklearnEstimator
from whyport.exporter.source import ModelSource
from whyport.runtime.session import Session

NAMES = list("abcdef")
FRAME = pandas.DataFrame(HOLES, columns=NAMES)
FRAME["kind"] = np.array(["red", "green", "blue"])[THREE * 7 % 3]
QUIET = {
    "xgboost": {"n_estimators": 6, "max_depth": 3},
    "lightgbm": {"n_estimators": 6, "verbose": -1, "n_jobs": 1},
    "catboost": {"iterations": 6, "depth": 3, "verbose": 0, "allow_writing_files": False},
}
MODELS = {
    "xgboost": ("XGBClassifier", "XGBRegressor"),
    "lightgbm": ("LGBMClassifier", "LGBMRegressor"),
    "catboost": ("CatBoostClassifier", "CatBoostRegressor"),
}


def pipeline(model):
    """Numbers imputed and scaled, or passed on with what is missing, and colours one-hot, before the model."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    steps = [("n", numbers, NAMES[:2]), ("c", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["kind"])]
    return make_pipeline(ColumnTransformer(steps, remainder="passthrough"), model)


@pytest.mark.parametrize("library", MODELS)
@pytest.mark.parametrize("target", ["two", "three", "amount"])
def test_boosters_end_pipelines_exactly_and_are_explained_by_columns(library, target, tmp_path, monkeypatch):
    module = pytest.importorskip(library)
    classifier, regressor = MODELS[library]
    make = getattr(module, regressor if target == "amount" else classifier)
    labels = {"two": TWO, "three": THREE, "amount": AMOUNT}[target]
    model = pipeline(make(**QUIET[library])).fit(FRAME, labels)
    monkeypatch.setattr(SklearnEstimator, "native_rows", 5000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "boosted_pipelines", type("module", (), {"fitted": model}))
    FRAME.to_parquet("sample.parquet")
    source = ModelSource(
        "boosted_pipelines:fitted", tmp_path / "sample.parquet", background=BackgroundChoice(summary=0)
    )
    bundle = export_bundle(source, Target(tmp_path / "bundle"))
    sidecar = bundle.sidecar
    assert sidecar.score.kind == ("value" if target == "amount" else "margin")
    assert sidecar.capabilities["treeshap"].available
    assert sidecar.parity["native"] <= 1e-5
    assert [column.name for column in sidecar.columns] == [*NAMES, "kind"]
    rows = FRAME.assign(**{name: FRAME[name].astype(np.float32).astype(np.float64) for name in NAMES})
    outputs = Session(bundle, "cpu").predict(rows)
    if target == "amount":
        np.testing.assert_allclose(outputs["value"][:, 0], model.predict(rows), rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(rows), atol=2e-6)
