import logging
import warnings

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx import parser
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from support.onnx_networks import FEATURES
from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.kinds.onnx import OnnxModel
from whyport.exporter.source import ModelSource
from whyport.runtime.errors import ExportError, UsageError
from whyport.runtime.session import Session

ROWS = np.random.default_rng(0).normal(size=(150, FEATURES)).astype(np.float32) * 3 + 1
SCORE = ROWS[:, 0] - 0.5 * ROWS[:, 1] + np.sin(ROWS[:, 2])
CLASSES = np.digitize(SCORE, [0.0, 2.0])


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "sample.parquet"
    pd.DataFrame(ROWS, columns=[f"f{i}" for i in range(FEATURES)]).to_parquet(path)
    return path


def export(model, sample, folder, **options):
    onnx.save(model, folder / "model.onnx")
    options = {"background": BackgroundChoice(rows=20, summary=0), **options}
    return export_bundle(ModelSource(str(folder / "model.onnx"), sample, **options), Target(folder / "bundle"))


def fit_and_convert(estimator, targets):
    """A pipeline with a scaler in front, and its graph by skl2onnx."""
    from skl2onnx import to_onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(StandardScaler(), estimator).fit(ROWS, targets)
        options = {id(pipeline): {"zipmap": False}} if hasattr(pipeline, "classes_") else None
        model = to_onnx(pipeline, ROWS[:1], target_opset={"": 18, "ai.onnx.ml": 3}, options=options)
    return pipeline, model


def log_odds(pipeline):
    p = pipeline.predict_proba(ROWS.astype(np.float64))
    return np.log(p[:, 1:] / p[:, :1])


@pytest.mark.parametrize(
    ("estimator", "targets"),
    [
        (LogisticRegression(), CLASSES > 0),
        (LogisticRegression(), CLASSES),
        (MLPClassifier((6,), max_iter=30, random_state=0), CLASSES > 0),
        (MLPClassifier((6,), max_iter=30, random_state=0), CLASSES),
        (Ridge(), SCORE),
        (MLPRegressor(hidden_layer_sizes=(6,), max_iter=30, random_state=0), SCORE),
        (SVR(kernel="linear", C=0.1), SCORE),
    ],
    ids=["logistic-2", "logistic-3", "network-2", "network-3", "ridge", "network-values", "vectors"],
)  # fmt: skip
def test_scikit_learns_linear_models_and_networks(estimator, targets, sample, tmp_path, caplog):
    """Scores against scikit-learn's own, gradients of linear models against their coefficients."""
    pipeline, model = fit_and_convert(estimator, targets)
    is_classifier = hasattr(pipeline, "classes_")
    with caplog.at_level(logging.INFO):
        bundle = export(model, sample, tmp_path, task="classification" if is_classifier else "regression")
    assert "traced" not in caplog.text
    assert bundle.sidecar.capabilities["deepshap"].available
    assert {node.domain for node in onnx.load(bundle.path / "model.onnx").graph.node} <= {""}
    got = Session(bundle, "cpu").predict(ROWS)
    if is_classifier:
        probabilities = pipeline.predict_proba(ROWS.astype(np.float64))
        np.testing.assert_allclose(got["probabilities"], probabilities, atol=1e-5)
        # One logit z is (-z, z); several are known up to a constant.
        logits = got["logits"][:, 1:] if len(pipeline.classes_) == 2 else got["logits"][:, 1:] - got["logits"][:, :1]
        np.testing.assert_allclose(logits, log_odds(pipeline), atol=1e-4)
    else:
        np.testing.assert_allclose(got["value"][:, 0], pipeline.predict(ROWS.astype(np.float64)), atol=1e-4)
    if hasattr(estimator, "coef_"):
        module = load_torchscript(bundle.read_bytes("model.pt"))
        leaf = torch.from_numpy(ROWS).requires_grad_()
        (gradient,) = torch.autograd.grad(module(leaf)[0][:, -1].sum(), leaf)
        slope = estimator.coef_[-1] if estimator.coef_.ndim > 1 else estimator.coef_
        expected = np.broadcast_to(slope / pipeline[0].scale_, gradient.shape)
        np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-5)


def test_everything_of_a_convolution(sample, tmp_path):
    """Grad-CAM's maps, and explain.onnx and gradient.onnx from a graph of an older operator set."""
    steps = (
        "s = Constant<value_ints=[-1, 1, 3]>() r = Reshape(z, s) k = Constant<value=float[2, 1, 2] {1, -2, 0.5, 3}>() "
        "c = Conv(r, k) a = Relu(c) y = Flatten(a)"
    )
    options = {"task": "regression", "background": BackgroundChoice(rows=20, summary=2)}
    bundle = export(graph_of(steps, "float[N, 4] y"), sample, tmp_path, **options)
    served = {name for name, capability in bundle.sidecar.capabilities.items() if capability.available}
    assert served == {"gradients", "grad-cam", "deepshap", "explain-onnx", "gradient-onnx"}
    products = ROWS.astype(np.float64) @ WEIGHTS
    left, right = products[:, None, :2], products[:, None, 1:]
    maps = np.concatenate([left - 2 * right, 0.5 * left + 3 * right], 1)
    module = load_torchscript(bundle.read_bytes("model.pt"))
    np.testing.assert_allclose(module.features(torch.from_numpy(ROWS)).numpy(), maps, atol=1e-4)
    expected = np.maximum(maps, 0).reshape(len(ROWS), -1)
    np.testing.assert_allclose(module.classify(torch.from_numpy(maps).float())[0].numpy(), expected, atol=1e-4)
    assert onnx.load(bundle.path / "model.onnx").opset_import[0].version == 17


def graph_of(steps, outputs="float[N, 3] y"):
    weights = ", ".join(str((i * 7 % 11 - 5) / 5) for i in range(3 * FEATURES))
    return parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[N, {FEATURES}] x) => ({outputs})
        <float[{FEATURES}, 3] w = {{{weights}}}> {{ z = MatMul(x, w) {steps} }}"""
    )


WEIGHTS = np.array([(i * 7 % 11 - 5) / 5 for i in range(3 * FEATURES)]).reshape(FEATURES, 3)


def test_a_softmax_is_cut_off(sample, tmp_path):
    bundle = export(graph_of("s = Softmax(z) y = Identity(s)"), sample, tmp_path)
    got = Session(bundle, "cpu").predict(ROWS)
    np.testing.assert_allclose(got["logits"], ROWS.astype(np.float64) @ WEIGHTS, atol=1e-4)
    powers = np.exp(ROWS.astype(np.float64) @ WEIGHTS)
    np.testing.assert_allclose(got["probabilities"], powers / powers.sum(1, keepdims=True), atol=1e-5)


def test_probabilities_are_the_score_where_the_user_says_so(sample, tmp_path):
    bundle = export(graph_of("y = Softmax(z)"), sample, tmp_path, from_probabilities=True)
    assert list(Session(bundle, "cpu").predict(ROWS[:2])) == ["probabilities"]
    assert bundle.sidecar.capabilities["deepshap"].available
    assert bundle.sidecar.score.kind == "probability"


def test_an_operator_that_is_not_known_is_named(sample, tmp_path):
    """The bundle predicts, and says what it cannot differentiate."""
    steps = "k = Constant<value_ints=[3]>() y, places = TopK<sorted=1>(z, k)"
    bundle = export(graph_of(steps), sample, tmp_path)
    np.testing.assert_allclose(
        Session(bundle, "cpu").predict(ROWS)["logits"], -np.sort(-(ROWS.astype(np.float64) @ WEIGHTS), 1), atol=1e-4
    )
    for name in ("gradients", "deepshap", "grad-cam", "explain-onnx", "gradient-onnx"):
        capability = bundle.sidecar.capabilities[name]
        assert not capability.available
        assert "no PyTorch counterpart of the ONNX operator TopK, node 'y'" in capability.reason


def test_a_network_that_computes_something_else_is_not_taken(sample, tmp_path, monkeypatch):
    from whyport.exporter.networks.operators import OPERATORS, Operator

    monkeypatch.setitem(OPERATORS, "Tanh", Operator(lambda attributes, x: torch.sigmoid(x)))
    bundle = export(graph_of("y = Tanh(z)"), sample, tmp_path, task="regression")
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["value"], np.tanh(ROWS @ WEIGHTS), atol=1e-5)
    assert "the imported network: expected a deviation" in bundle.sidecar.capabilities["gradients"].reason


@pytest.mark.parametrize("estimator", [LogisticRegression(), MLPClassifier((4,), max_iter=5, random_state=0)])
def test_classes_have_the_files_names_and_order(estimator, sample, tmp_path):
    _, model = fit_and_convert(estimator, np.where(SCORE > 0, "yes", "no"))
    onnx.save(model, tmp_path / "model.onnx")
    kind = OnnxModel(tmp_path / "model.onnx", ModelSource(str(tmp_path / "model.onnx"), sample))
    assert kind.facts(()).targets == ("no", "yes")
    with pytest.raises(UsageError, match="expected the model's own order, 'no', 'yes', got 'yes', 'no'"):
        export(model, sample, tmp_path, classes=("yes", "no"))


def test_labels_that_only_count_are_no_names(sample, tmp_path):
    _, model = fit_and_convert(LogisticRegression(), CLASSES)
    onnx.save(model, tmp_path / "model.onnx")
    assert not OnnxModel(tmp_path / "model.onnx", ModelSource("model.onnx", sample)).facts(()).targets


def test_labels_that_are_damaged(sample, tmp_path):
    _, model = fit_and_convert(MLPClassifier((4,), max_iter=5, random_state=0), np.where(SCORE > 0, "yes", "no"))
    (labels,) = (tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.STRING)
    labels.dims[0] = 1
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="the labels 'classes' are damaged"):
        OnnxModel(tmp_path / "model.onnx", ModelSource("model.onnx", sample)).facts(())
