"""Steps of scikit-learn's pipelines as bundles: by name, in float64, and with texts that are empty."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from support.estimators import CLASSES, COMPLETE, FRAME, NUMBERS, SMALL, check_predictions, export
from whyport.exporter.kinds.sklearn import SklearnEstimator
from whyport.runtime.errors import ExportError, WhyportError
from whyport.runtime.session import Session


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SklearnEstimator, "native_rows", 4_000)


def test_steps_by_names_over_numbers_alone_and_a_pipeline_at_the_end_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """skl2onnx finds no column by its name, and a pipeline in a pipeline is one."""
    scale = ColumnTransformer([("s", StandardScaler(), ["debt", "age"])], remainder="passthrough")
    model = make_pipeline(scale, make_pipeline(StandardScaler(), LogisticRegression())).fit(COMPLETE, CLASSES)
    bundle = export(model, COMPLETE, tmp_path, monkeypatch)
    check_predictions(bundle, model, COMPLETE)
    assert bundle.sidecar.capabilities["gradients"].available


def test_trees_behind_components_of_some_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The components are computed in float64, as scikit-learn does: trees compare what comes of it."""
    some = ColumnTransformer([("p", PCA(1), ["debt", "income"])], remainder="passthrough")
    model = make_pipeline(some, make_pipeline(StandardScaler(), RandomForestClassifier(**SMALL))).fit(COMPLETE, CLASSES)
    bundle = export(model, COMPLETE, tmp_path, monkeypatch)
    check_predictions(bundle, model, COMPLETE)
    assert bundle.sidecar.capabilities["treeshap"].reason.startswith("encoded space: ")


@pytest.mark.parametrize("is_coded", [False, True])
def test_far_from_the_sample_float64_computes_what_float32_cannot(
    is_coded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a density is as good as 0, float32 gives each class the probability 1."""
    frame = COMPLETE.assign(flag=3.0)
    model: Any = GaussianNB()
    if is_coded:
        frame = frame.assign(region=FRAME["region"])
        model = make_pipeline(
            ColumnTransformer([("r", OneHotEncoder(sparse_output=False), ["region"])], remainder="passthrough"), model
        )
    model = model.fit(frame, CLASSES)
    bundle = export(model, frame, tmp_path, monkeypatch)
    far = frame.assign(flag=3000.0, age=frame["age"].astype(np.float32).astype(np.float64))
    outputs = Session(bundle, "cpu").predict(far)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(outputs["probabilities"], model.predict_proba(far), atol=2e-3)
    assert "float64" in bundle.sidecar.capabilities["gradients"].reason
    check_predictions(bundle, model, frame)


def test_a_graph_that_fails_on_adversarial_rows_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = FRAME[NUMBERS]
    model = make_pipeline(KNNImputer(), LogisticRegression()).fit(numbers, CLASSES)
    with pytest.raises(WhyportError):
        export(model, numbers, tmp_path, monkeypatch)


@pytest.mark.parametrize("is_filled", [False, True])
def test_an_empty_text_that_the_encoder_knows_is_what_is_missing(
    is_filled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = COMPLETE.assign(sex=FRAME["sex"] if is_filled else FRAME["sex"].fillna(""))
    filler = [SimpleImputer(strategy="constant", fill_value="")] if is_filled else []
    encoder = make_pipeline(*filler, OneHotEncoder(handle_unknown="ignore"))
    some = ColumnTransformer([("s", encoder, ["sex"])], remainder="passthrough")
    model = make_pipeline(some, RandomForestClassifier(**SMALL)).fit(frame, np.where(FRAME["sex"].isna(), "yes", "no"))
    check_predictions(export(model, frame, tmp_path, monkeypatch), model, frame)


@pytest.mark.parametrize("is_imputed", [False, True])
def test_an_empty_text_beside_a_missing_one_is_refused(
    is_imputed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = COMPLETE.assign(sex=FRAME["sex"])
    frame.loc[:5, "sex"] = ""
    imputer = [SimpleImputer(strategy="most_frequent")] if is_imputed else []
    encoder = make_pipeline(*imputer, OneHotEncoder(handle_unknown="ignore"))
    some = ColumnTransformer([("s", encoder, ["sex"])], remainder="passthrough")
    model = make_pipeline(some, RandomForestClassifier(**SMALL)).fit(frame, CLASSES)
    with pytest.raises(ExportError, match="'sex': the model tells an empty text from a missing value"):
        export(model, frame, tmp_path, monkeypatch)
