import sys
import types
import warnings

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.kinds import open_kind
from whyport.exporter.kinds.keras_backend import import_keras
from whyport.exporter.source import ModelSource
from whyport.runtime.errors import ColumnError, ExportError, UsageError
from whyport.runtime.session import Session

FEATURES = 12
ROWS = np.random.default_rng(0).normal(size=(60, FEATURES)).astype(np.float32)


@pytest.fixture(scope="session")
def keras():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_keras()


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "sample.parquet"
    pd.DataFrame(ROWS, columns=[f"f{i}" for i in range(FEATURES)]).to_parquet(path)
    return path


def softmax(keras, rows):
    hidden = keras.layers.Dense(6, activation="gelu")(keras.layers.BatchNormalization()(rows))
    return keras.layers.Dense(3, activation="softmax")(keras.layers.Dropout(0.3)(hidden))


def convolution(keras, rows):
    maps = keras.layers.Conv1D(4, 3, activation="relu")(keras.layers.Reshape((FEATURES, 1))(rows))
    maps = keras.layers.Conv1D(4, 3, padding="same")(keras.layers.MaxPooling1D(2)(maps))
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Activation("elu")(maps))
    return keras.layers.Dense(1, activation="sigmoid")(pooled)


def recurrent(keras, rows):
    steps = keras.layers.LSTM(2, return_sequences=True)(keras.layers.Reshape((2, 6))(rows))
    return keras.layers.Dense(2)(keras.layers.Bidirectional(keras.layers.GRU(2))(steps))


def loops(keras, rows):
    steps = keras.layers.SimpleRNN(2, return_sequences=True)(keras.layers.Reshape((2, 6))(rows))
    steps = keras.layers.GRU(2, reset_after=False)(steps)
    return keras.layers.Dense(2, activity_regularizer="l2", kernel_regularizer="l1")(steps)


def attention(keras, rows):
    steps = keras.layers.Dense(4)(keras.layers.Reshape((3, 4))(rows))
    steps = keras.layers.LayerNormalization()(steps + keras.layers.MultiHeadAttention(2, 4)(steps, steps))
    return keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(steps))


def doubles(keras, rows):
    return keras.layers.Dense(2, dtype="float64")(keras.layers.Dense(3, activation="tanh")(rows))


def make(keras, body):
    keras.utils.set_random_seed(0)
    rows = keras.Input((FEATURES,))
    return keras.Model(rows, body(keras, rows))


def predict(model, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.predict(rows, verbose=0))


def save(model, folder):
    path = folder / "model.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def export(source, sample, folder, **options):
    quick = BackgroundChoice(rows=20, summary=0)
    return export_bundle(
        ModelSource(str(source), sample, background=quick, **options), Target(folder / "bundle", overwrite=True)
    )


@pytest.mark.parametrize(
    ("body", "score"),
    [
        *((softmax, "probabilities"), (convolution, "second"), (recurrent, "logits"), (attention, "probabilities")),
        *((loops, "logits"), (doubles, "logits")),
    ],
)
def test_files(body, score, keras, sample, tmp_path):
    model = make(keras, body)
    bundle = export(save(model, tmp_path), sample, tmp_path)
    got, expected = Session(bundle, "cpu").predict(ROWS), predict(model, ROWS)
    name = "probabilities" if score == "second" else score
    np.testing.assert_allclose(got[name][:, 1:] if score == "second" else got[name], expected, atol=1e-6)
    assert got["logits"].min() < 0
    capabilities, sidecar = bundle.sidecar.capabilities, bundle.sidecar
    assert capabilities["gradients"].available
    assert capabilities["deepshap"].available
    assert capabilities["grad-cam"].available == (body is convolution)
    assert sidecar.parity["native"] < 1e-5
    assert sidecar.provenance.source == "export model.keras"
    assert sidecar.provenance.versions["keras"] == keras.__version__


def test_a_regression_is_known_by_its_loss(keras, tmp_path):
    """Five layers of ten units on 37 columns, the shape of a network for a measured strength."""
    rng, columns = np.random.default_rng(1), [f"c{i}" for i in range(37)]
    rows = rng.normal(size=(60, 37)).astype(np.float32)
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "sample.parquet")
    hidden = [keras.layers.Dense(10, activation="relu") for _ in range(5)]
    model = keras.Sequential([keras.Input((37,)), keras.layers.Normalization(), *hidden, keras.layers.Dense(1)])
    model.compile(loss=keras.losses.MeanSquaredError())
    bundle = export(
        save(model, tmp_path), tmp_path / "sample.parquet", tmp_path, targets=("strength",), units={"strength": "MPa"}
    )
    np.testing.assert_allclose(Session(bundle, "cpu").predict(rows)["value"], predict(model, rows), atol=1e-5)
    assert bundle.sidecar.score.task == "regression"
    said = ModelSource(str(tmp_path / "model.keras"), tmp_path / "sample.parquet", task="classification")
    assert open_kind(said, seed=0, opset=None).facts(()).task is None
    assert bundle.sidecar.capabilities["deepshap"].available


def test_own_layers_by_their_function(keras, sample, tmp_path, monkeypatch):
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    def made():
        return keras.Sequential([keras.Input((FEATURES,)), Doubled(), keras.layers.Dense(2)])

    own = types.ModuleType("own_keras_layers")
    own.made = made
    monkeypatch.setitem(sys.modules, "own_keras_layers", own)
    model = made()
    path = save(model, tmp_path)
    with pytest.raises(ExportError, match=r"model\.keras cannot be read: .*; only Keras' own layers .*MODULE:NAME$"):
        export(path, sample, tmp_path)
    own.made = lambda: model
    bundle = export("own_keras_layers:made", sample, tmp_path)
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["logits"], predict(model, ROWS), atol=1e-5)


def test_code_in_a_file_is_not_run(keras, sample, tmp_path):
    layers = [keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(2)]
    path = save(keras.Sequential([keras.Input((FEATURES,)), *layers]), tmp_path)
    with pytest.raises(ExportError, match="Lambda.*; only Keras' own layers") as caught:
        export(path, sample, tmp_path)
    assert "safe_mode=False" not in str(caught.value)


def test_files_that_are_none(keras, sample, tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    with pytest.raises(ExportError, match=r"^bad\.keras is not a \.keras file"):
        export(tmp_path / "bad.keras", sample, tmp_path)
    with pytest.raises(UsageError, match="there is no file"):
        export(tmp_path / "none.keras", sample, tmp_path)


def test_inputs_that_are_no_rows(keras, sample, tmp_path):
    steps = keras.Sequential([keras.Input((3, 4)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ExportError, match=r"expected one input \[N, F\], got \[N, 3, 4\]; a Reshape"):
        export(save(steps, tmp_path), sample, tmp_path)
    two = [keras.Input((6,)), keras.Input((6,))]
    with pytest.raises(ExportError, match=r"expected one input \[N, F\], got 2 inputs"):
        export(save(keras.Model(two, keras.layers.Add()(two)), tmp_path), sample, tmp_path)
    narrow = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    with pytest.raises(ColumnError, match="takes 5 columns, got 12"):
        export(save(narrow, tmp_path), sample, tmp_path)


def test_one_of_several_outputs(keras, sample, tmp_path):
    rows = keras.Input((FEATURES,))
    model = keras.Model(rows, [keras.layers.Dense(2)(rows), keras.layers.Dense(3)(rows)])
    path = save(model, tmp_path)
    with pytest.raises(ExportError, match="--output NAME"):
        export(path, sample, tmp_path)
    bundle = export(path, sample, tmp_path, output="1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.predict(ROWS, verbose=0)[1]
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["logits"], expected, atol=1e-5)


@pytest.mark.parametrize("option", [{"impute": True}, {"standardise": True}])
def test_options_for_modules(option, sample, tmp_path):
    with pytest.raises(UsageError, match=f"--{next(iter(option))} is for PyTorch modules"):
        export(tmp_path / "model.keras", sample, tmp_path, **option)


def test_other_backends(keras, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="expected the backend torch, got jax, with which this process has imported"):
        import_keras()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UsageError, match="expected the backend torch, got KERAS_BACKEND=jax; KERAS_BACKEND=torch"):
        import_keras()
