"""Estimators and pipelines of scikit-learn as bundles, against scikit-learn's own predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from support.estimators import (
    CLASSES,
    COMPLETE,
    FRAME,
    NUMBERS,
    SEED,
    SHALLOW,
    SMALL,
    THREE,
    VALUES,
    check_predictions,
    encode,
    export,
)
from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.kinds.sklearn import SklearnEstimator
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.sidecar import TREES_FILE
from whyport.runtime.bundle.trees import LEAF, Trees
from whyport.runtime.errors import ColumnError, ExportError, UsageError, WhyportError
from whyport.runtime.session import Session


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SklearnEstimator, "native_rows", 4_000)


def numbers_of(model: BaseEstimator, target: Any) -> tuple[Any, pd.DataFrame]:
    return clone(model).fit(COMPLETE, target), COMPLETE


def all_of(model: BaseEstimator, target: Any) -> tuple[Any, pd.DataFrame]:
    return clone(model).fit(FRAME, target), FRAME


TREES = {
    "forest": lambda: numbers_of(RandomForestClassifier(**SMALL), CLASSES),
    "forest of three classes": lambda: numbers_of(RandomForestClassifier(**SMALL), THREE),
    "extra trees": lambda: numbers_of(ExtraTreesClassifier(**SMALL), CLASSES),
    "forest of numbers": lambda: numbers_of(RandomForestRegressor(**SMALL), VALUES),
    "tree": lambda: numbers_of(DecisionTreeClassifier(**SEED), CLASSES),
    "tree of numbers": lambda: numbers_of(DecisionTreeRegressor(**SEED), VALUES),
    "gradient boosting": lambda: numbers_of(GradientBoostingClassifier(**SMALL), CLASSES),
    "gradient boosting of three": lambda: numbers_of(GradientBoostingClassifier(**SMALL), THREE),
    "gradient boosting of numbers": lambda: numbers_of(GradientBoostingRegressor(**SMALL), VALUES),
    "histograms": lambda: (HistGradientBoostingClassifier(max_iter=6).fit(FRAME[NUMBERS], CLASSES), FRAME[NUMBERS]),
    "histograms of three": lambda: numbers_of(HistGradientBoostingClassifier(max_iter=6), THREE),
    "histograms of numbers": lambda: numbers_of(HistGradientBoostingRegressor(max_iter=6), VALUES),
    "imputer, scaler, forest": lambda: (
        make_pipeline(SimpleImputer(), StandardScaler(), RandomForestClassifier(**SMALL)).fit(FRAME[NUMBERS], CLASSES),
        FRAME[NUMBERS],
    ),
    "scaler, histograms": lambda: numbers_of(
        make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=6)), CLASSES
    ),
    "categories, forest": lambda: all_of(make_pipeline(encode(), RandomForestClassifier(**SMALL)), CLASSES),
    "categories, boosting": lambda: all_of(make_pipeline(encode(), GradientBoostingClassifier(**SMALL)), CLASSES),
}
"""Sums of trees, with what comes before them."""

OTHERS = {
    "logistic": lambda: numbers_of(make_pipeline(StandardScaler(), LogisticRegression()), CLASSES),
    "linear": lambda: numbers_of(LinearRegression(), VALUES),
    "network": lambda: numbers_of(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=5000, **SEED)),
        VALUES,
    ),
    "categories, logistic": lambda: all_of(make_pipeline(encode(), LogisticRegression(max_iter=2000)), CLASSES),
    "neighbours": lambda: numbers_of(make_pipeline(StandardScaler(), KNeighborsClassifier()), CLASSES),
    "categories, neighbours": lambda: all_of(make_pipeline(encode(), KNeighborsClassifier()), CLASSES),
    "calibrated": lambda: numbers_of(CalibratedClassifierCV(SHALLOW, cv=2), CLASSES),
    "voting": lambda: numbers_of(
        VotingClassifier(
            [
                ("tree", DecisionTreeClassifier(max_depth=3, **SEED)),
                ("other", DecisionTreeClassifier(max_depth=2, **SEED)),
            ],
            voting="soft",
        ),
        CLASSES,
    ),
    "components, forest": lambda: numbers_of(make_pipeline(PCA(2), RandomForestClassifier(**SMALL)), CLASSES),
}


@pytest.mark.parametrize("name", TREES)
def test_trees(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = TREES[name]()
    bundle = export(model, frame, tmp_path, monkeypatch)
    check_predictions(bundle, model, frame)
    sidecar = bundle.sidecar
    is_boosting = "boosting" in name or "histograms" in name
    kind = "value" if "numbers" in name else "margin" if is_boosting else "probability"
    assert (sidecar.score.kind, sidecar.column_names) == (kind, tuple(frame.columns))
    assert sidecar.capabilities["treeshap"].available
    assert "treeshap" in sidecar.capabilities["gradients"].reason
    trees = Trees.read(bundle.read_bytes(TREES_FILE))
    scores = Session(bundle, "cpu").predict(frame)[sidecar.score.output]
    np.testing.assert_allclose(trees.scores(Session(bundle, "cpu").matrix(frame)), scores, rtol=1e-6, atol=1e-6)
    assert trees.cover is not None
    inner = trees.left != LEAF
    np.testing.assert_allclose(trees.cover[inner], trees.cover[trees.left[inner]] + trees.cover[trees.right[inner]])


@pytest.mark.parametrize("name", OTHERS)
def test_other_estimators(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = OTHERS[name]()
    bundle = export(model, frame, tmp_path, monkeypatch)
    check_predictions(bundle, model, frame)
    capabilities = bundle.sidecar.capabilities
    is_network = name.endswith(("logistic", "linear", "network"))
    assert capabilities["deepshap"].available == is_network
    assert not capabilities["treeshap"].available
    if name == "components, forest":
        assert capabilities["treeshap"].reason.startswith("encoded space: ")


def test_missing_texts_and_numbers_unseen_ones_and_every_known_category(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A category that the encoder knows and the sample has not is none of the others."""
    model = make_pipeline(encode(), RandomForestClassifier(**SMALL)).fit(FRAME, CLASSES)
    sample = FRAME[FRAME["region"] != "west"]
    bundle = export(model, sample, tmp_path, monkeypatch)
    region = bundle.sidecar.columns[3].categories
    assert region is not None
    assert region.values == ("north", "south", "west")
    assert region.counts[2] == 0
    rows = FRAME[:6].copy()
    rows["region"] = ["west", "Atlantis", None, "north", "south", "west"]
    rows.loc[:2, "age"] = np.nan
    rows[NUMBERS] = rows[NUMBERS].astype(np.float32).astype(np.float64)
    got = Session(bundle, "cpu").predict(rows)["probabilities"]
    np.testing.assert_allclose(got, model.predict_proba(rows), atol=1e-6)


def test_a_text_that_the_encoder_refuses_counts_as_the_commonest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = FRAME[["age", "region"]].fillna({"age": 50.0})
    first = ColumnTransformer([("r", OrdinalEncoder(), ["region"])], remainder="passthrough")
    model = make_pipeline(first, DecisionTreeClassifier(**SEED)).fit(frame, CLASSES)
    session = Session(export(model, frame, tmp_path, monkeypatch), "cpu")
    rows = frame[:2].assign(region=["Atlantis", frame["region"].mode()[0]], age=[40.0, 40.0])
    first_row, second_row = session.predict(rows)["probabilities"]
    np.testing.assert_array_equal(first_row, second_row)


def test_a_model_without_names_takes_the_samples_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = RandomForestClassifier(**SMALL).fit(COMPLETE.to_numpy(), THREE)
    bundle = export(model, COMPLETE, tmp_path, monkeypatch, classes=("a", "b", "c"))
    assert bundle.sidecar.column_names == tuple(COMPLETE.columns)
    assert bundle.sidecar.targets == ("a", "b", "c")


@pytest.mark.parametrize("labels", [np.array([0, 1]), np.array([False, True]), np.array(["no", "yes"])])
def test_class_labels_of_any_type_are_names(labels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DecisionTreeClassifier(**SEED).fit(COMPLETE, labels[(CLASSES == "yes").astype(int)])
    expected = {"i": ("0", "1"), "b": ("false", "true"), "U": ("no", "yes")}[labels.dtype.kind]
    assert export(model, COMPLETE, tmp_path, monkeypatch).sidecar.targets == expected


BAD: dict[str, tuple[Any, dict[str, Any], type[WhyportError], str]] = {
    "not fitted": (RandomForestClassifier(), {}, ExportError, "RandomForestClassifier is not fitted; fit it first"),
    "no predictor": (KMeans(2, n_init=1), {}, ExportError, "expected a classifier or a regressor, got KMeans"),
    "transformer": (StandardScaler(), {}, ExportError, "expected a classifier or a regressor, got StandardScaler"),
    "no probabilities": (LinearSVC(), {}, ExportError, "LinearSVC has no probabilities; fit it inside Calibrated"),
    "threshold": (
        FixedThresholdClassifier(LogisticRegression(max_iter=5000), threshold=0.3),
        {},
        ExportError,
        "FixedThresholdClassifier predicts by a threshold of its own",
    ),
    "exponential": (
        GradientBoostingClassifier(loss="exponential", **SMALL),
        {},
        ExportError,
        "GradientBoostingClassifier with the loss 'exponential': expected one of 'log_loss'",
    ),
    "task": (
        DecisionTreeClassifier(),
        {"task": "regression"},
        UsageError,
        "--task: expected classification, as the model is one, got regression",
    ),
    "targets": (
        DecisionTreeClassifier(),
        {"targets": ("a",)},
        UsageError,
        "--targets: is for --task regression; --classes names the classes",
    ),
    "classes": (
        DecisionTreeClassifier(),
        {"classes": ("yes", "no")},
        UsageError,
        "--classes: expected the model's own order, 'no', 'yes', got 'yes', 'no'",
    ),
    "number of classes": (DecisionTreeClassifier(), {"classes": ("a",)}, UsageError, "--classes: expected 2 names"),
    "order": (
        DecisionTreeClassifier(),
        {"features": ("income", "age", "debt")},
        ColumnError,
        "--features: expected the model's own names, 'age', 'income', 'debt', got them in another order",
    ),
    "lacking": (
        DecisionTreeClassifier(),
        {"excluded": ("age",)},
        ColumnError,
        r"columns that the model takes and the sample lacks: age \(1 of 3\)",
    ),
    "scaling": (DecisionTreeClassifier(), {"standardise": True}, UsageError, "--standardise is for PyTorch modules"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_exported_says_why(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, options, error, message = BAD[name]
    model = clone(model)
    if name != "not fitted":
        model.fit(COMPLETE, CLASSES)
    with pytest.raises(error, match=message):
        export(model, COMPLETE, tmp_path, monkeypatch, **options)
    assert not (tmp_path / "bundle").exists()


def test_boosted_trees_behind_components_have_probabilities_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frame = numbers_of(make_pipeline(PCA(2), GradientBoostingClassifier(**SMALL)), CLASSES)
    with pytest.raises(ExportError, match="encoded space: .*; --from-probabilities takes the probabilities as scores"):
        export(model, frame, tmp_path, monkeypatch)
    bundle = export(model, frame, tmp_path, monkeypatch, from_probabilities=True)
    check_predictions(bundle, model, frame)
    assert bundle.sidecar.score.kind == "probability"
    assert not bundle.sidecar.capabilities["treeshap"].available


def test_texts_that_look_like_numbers_stay_texts_and_none_is_what_the_encoder_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a CSV file too, whose column of codes would be read as numbers."""
    codes = np.array(["1", "2", None] * 80, dtype=object)
    frame = pd.DataFrame({"code": pd.Series(codes, dtype=object), "n": COMPLETE["age"]})
    first = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["code"])], remainder="passthrough")
    model = make_pipeline(first, RandomForestClassifier(**SMALL)).fit(frame, np.where(codes == "2", "yes", CLASSES))
    export(model, frame, tmp_path, monkeypatch)
    frame.to_csv(tmp_path / "sample.csv", index=False)
    source = ModelSource(
        "estimators_of_mine:MODEL", tmp_path / "sample.csv", background=BackgroundChoice(summary=0), excluded=()
    )
    bundle = export_bundle(source, Target(tmp_path / "bundle of text"))
    categories = bundle.sidecar.columns[0].categories
    assert categories is not None
    assert (categories.type, categories.values, categories.missing) == ("text", ("1", "2"), 80)
    rows = frame.assign(n=frame["n"].astype(np.float32).astype(np.float64))
    got = Session(bundle, "cpu").predict(rows)["probabilities"]
    np.testing.assert_allclose(got, model.predict_proba(rows), atol=1e-6)


def test_several_outputs_a_row_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DecisionTreeClassifier().fit(COMPLETE, np.stack([CLASSES, THREE], axis=1))
    with pytest.raises(ExportError, match="DecisionTreeClassifier predicts several outputs a row"):
        export(model, COMPLETE, tmp_path, monkeypatch)


def test_a_table_of_categories_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = FRAME[["region", "sex"]]
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(**SEED)).fit(frame, CLASSES)
    check_predictions(export(model, frame, tmp_path, monkeypatch), model, frame)


def test_categories_of_histograms_and_targets_that_are_transformed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded = HistGradientBoostingClassifier(max_iter=2, categorical_features=["region"])
    coded.fit(FRAME[["age", "region"]], CLASSES)
    with pytest.raises(ExportError, match="its categorical_features are no order of numbers; put an OrdinalEncoder"):
        export(coded, FRAME[["age", "region"]], tmp_path, monkeypatch)
    transformed = TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp).fit(COMPLETE, VALUES)
    with pytest.raises(ExportError, match="TransformedTargetRegressor: .*; export its regressor_"):
        export(transformed, COMPLETE, tmp_path, monkeypatch)


def test_free_text_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ColumnTransformer([("t", TfidfVectorizer(), "region")])
    model = make_pipeline(first, LogisticRegression()).fit(FRAME, CLASSES)
    with pytest.raises(ExportError, match="TfidfVectorizer: free text is no column of numbers or categories"):
        export(model, FRAME, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["VotingClassifier", "CalibratedClassifierCV", "StackingClassifier"])
def test_an_encoder_inside_several_estimators_is_refused_with_a_way_out_that_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(inner: Any) -> Any:
        if name == "CalibratedClassifierCV":
            return CalibratedClassifierCV(inner, cv=2)
        options = {"voting": "soft"} if name == "VotingClassifier" else {"cv": 2}
        return {"VotingClassifier": VotingClassifier, "StackingClassifier": StackingClassifier}[name](
            [("one", inner), ("other", inner)], **options
        )

    frame = FRAME[["region"]].assign(age=COMPLETE["age"], debt=COMPLETE["debt"])
    encoder = ColumnTransformer([("r", OneHotEncoder(handle_unknown="ignore"), ["region"])], remainder="passthrough")
    inside = of(make_pipeline(encoder, BernoulliNB())).fit(frame, CLASSES)
    with pytest.raises(ExportError, match=rf"^{name}: the OneHotEncoder inside .* put it in front of the whole"):
        export(inside, frame, tmp_path, monkeypatch)
    if name != "VotingClassifier":
        return
    in_front = make_pipeline(encoder, of(BernoulliNB())).fit(frame, CLASSES)
    check_predictions(export(in_front, frame, tmp_path, monkeypatch), in_front, frame)
