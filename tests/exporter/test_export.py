"""A user's module to a bundle, against numpy in float64."""

import io
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ColumnError, ExportError, MissingValueError, ParityError, UsageError
from whyport.runtime.session import Session

WEIGHT = np.array([[1.0, -2, 0.5, 0.3], [0, 1, -1, 0.1], [2, 0, 0.25, -0.2]])
BIAS = np.array([0.1, -0.2, 0.3])
INTEGERS = ("explained_target", "target_index")


@pytest.fixture(scope="module")
def linear(sample_path, tmp_path_factory, whyport) -> Bundle:
    """logits = W standardise(impute(x)) + b, by way of the command line."""
    folder = tmp_path_factory.mktemp("own")
    state = {"weight": torch.tensor(WEIGHT, dtype=torch.float32), "bias": torch.tensor(BIAS, dtype=torch.float32)}
    torch.save(state, folder / "weights.pt")
    whyport(
        "export", "example_networks:linear", "--weights", folder / "weights.pt", "--sample", sample_path,
        "--classes", "a,b,c", "--impute", "--standardise", "--out", folder / "bundle", "--name", "straight",
    )  # fmt: skip
    return Bundle.read(folder / "bundle")


def standardised(rows, sample):
    rows = np.where(np.isnan(rows), np.nanmedian(sample, axis=0), rows.astype(np.float64))
    return (rows - np.nanmean(sample, axis=0)) / np.nanstd(sample, axis=0)


@pytest.fixture(scope="module")
def sample(sample_path):
    return pd.read_parquet(sample_path).to_numpy(np.float64)


def vectors(bundle, name):
    table = pq.read_table(io.BytesIO(bundle.read_bytes(name)))
    return {
        column: np.array(table[column].to_pylist(), dtype=np.float64 if column not in INTEGERS else np.int64)
        for column in table.column_names
    }


def test_imputes_and_standardises_inside_the_graphs(linear, sample):
    rows = sample[:50].astype(np.float32)
    assert np.isnan(rows).any()
    expected = standardised(rows, sample) @ WEIGHT.T + BIAS
    np.testing.assert_allclose(Session(linear, "cpu").predict(rows)["logits"], expected, atol=2e-5)
    module = load_torchscript(linear.read_bytes("model.pt"))
    np.testing.assert_allclose(module(torch.from_numpy(rows))[0], expected, atol=2e-5)


def test_test_vectors(linear, sample):
    vector = vectors(linear, "conformance.parquet")
    rows = vector["features"]
    assert rows.shape == (64, 4)
    missing = np.isnan(rows)
    assert 4 <= missing.any(axis=1).sum() < 64
    logits = standardised(rows, sample) @ WEIGHT.T + BIAS
    np.testing.assert_allclose(vector["logits"], logits, atol=2e-5)
    np.testing.assert_array_equal(vector["target_index"], np.arange(64) % 4 - 1)
    explained = np.where(vector["target_index"] < 0, logits.argmax(axis=1), vector["target_index"])
    np.testing.assert_array_equal(vector["explained_target"], explained)
    np.testing.assert_allclose(vector["score"], logits[np.arange(64), explained], atol=2e-5)
    references = vectors(linear, linear.sidecar.baseline("summary").file)
    centre = references["weight"] @ references["features"]
    filled = np.where(missing, np.nanmedian(sample, axis=0), rows)
    shares = WEIGHT[explained] / np.nanstd(sample, axis=0) * (filled - centre)
    np.testing.assert_allclose(vector["attribution"], shares, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(vector["base_value"], vector["score"] - shares.sum(axis=1), atol=1e-4)
    assert vector["completeness_error"].max() < 1e-5
    gradient = WEIGHT[vector["explained_target"]] / np.nanstd(sample, axis=0)
    np.testing.assert_allclose(vector["gradient"], np.where(missing, 0, gradient), rtol=1e-5)


def test_background_is_imputed(linear, sample):
    background = vectors(linear, "background.parquet")
    assert background["features"].shape == (100, 4)
    np.testing.assert_allclose(background["weight"], np.full(100, 0.01))
    known = np.where(np.isnan(sample), np.nanmedian(sample, axis=0), sample).astype(np.float32)
    assert (background["features"][:, None].astype(np.float32) == known).all(axis=2).any(axis=1).all()


@pytest.mark.parametrize("source", ["example_networks:linear", "model.onnx"])
def test_a_background_of_ones_own(source, linear, complete_path, tmp_path, whyport):
    if source.endswith(".onnx"):
        source = linear.path / source
    frame = pd.read_csv(complete_path)[:3].assign(weight=[2, 1, 1])
    frame[frame.columns[::-1]].to_parquet(tmp_path / "background.parquet")
    whyport(
        "export", source, "--sample", complete_path, "--background", tmp_path / "background.parquet",
        "--out", tmp_path / "bundle",
    )  # fmt: skip
    background = vectors(Bundle.read(tmp_path / "bundle"), "background.parquet")
    np.testing.assert_allclose(background["features"], frame[["f0", "f1", "f2", "f3"]], rtol=1e-6)
    np.testing.assert_array_equal(background["weight"], [0.5, 0.25, 0.25])


def test_references_are_drawn_among_the_rows_that_the_model_takes(sample, sample_path, complete_path, tmp_path):
    complete = len(pd.read_csv(complete_path))
    assert complete < len(sample)
    with pytest.raises(UsageError, match=f"expected at most {complete}, the training rows that can be references"):
        export("linear", sample_path, tmp_path, background=BackgroundChoice(complete + 1))
    bundle = export("linear", sample_path, tmp_path, background=BackgroundChoice(complete, summary=0))
    assert vectors(bundle, "background.parquet")["features"].shape == (complete, 4)


def test_sidecar(linear, sample):
    sidecar = linear.sidecar
    assert (sidecar.name, sidecar.targets, sidecar.score.kind) == ("straight", ("a", "b", "c"), "logit")
    np.testing.assert_allclose(sidecar.imputation, np.nanmedian(sample, axis=0))
    assert sidecar.inputs[0].prepare.standardised
    assert sidecar.provenance.source == "export example_networks:linear"
    assert sidecar.provenance.versions.keys() == {"python", "whyport", "torch", "onnx"}
    reasons = {"explain-onnx", "gradient-onnx"}
    assert set(sidecar.capabilities) == {"gradients", "grad-cam", "cam", "attention", "deepshap", "treeshap"} | reasons
    assert sidecar.capabilities["gradients"].available
    assert "no method features" in sidecar.capabilities["grad-cam"].reason
    assert "training/checkpoint.pt" not in sidecar.files


def export(source, sample_path, folder, **options):
    """Without the portable explanations, which take long to compile, unless a background asks for them."""
    model = ModelSource(
        f"example_networks:{source}", sample_path, **{"background": BackgroundChoice(summary=0), **options}
    )
    return export_bundle(model, Target(folder / "bundle"))


def test_excluded_columns_are_no_inputs(complete_path, tmp_path):
    pd.read_csv(complete_path).assign(label="x").to_parquet(tmp_path / "labelled.parquet")
    with pytest.raises(ColumnError, match="not one number a row: label "):
        export("linear", tmp_path / "labelled.parquet", tmp_path)
    bundle = export("linear", tmp_path / "labelled.parquet", tmp_path, excluded=("label",))
    assert "label" not in bundle.sidecar.column_names


def test_without_imputation_a_gap_is_an_error(complete_path, tmp_path):
    bundle = export("Convolution", complete_path, tmp_path)
    assert not bundle.sidecar.imputes
    assert not bundle.sidecar.inputs[0].prepare.standardised
    assert bundle.sidecar.capabilities["grad-cam"].available
    assert bundle.sidecar.targets == ("class 0", "class 1", "class 2")
    assert not np.isnan(vectors(bundle, "conformance.parquet")["features"]).any()
    with pytest.raises(MissingValueError, match="this bundle does not impute"):
        Session(bundle, "cpu").predict(np.array([[1, np.nan, 1, 1]]))


def test_a_sample_with_gaps_serves_with_its_complete_rows(sample_path, tmp_path):
    bundle = export("WithoutGradient", sample_path, tmp_path)
    assert not np.isnan(vectors(bundle, "background.parquet")["features"]).any()
    assert not np.isnan(vectors(bundle, "conformance.parquet")["features"]).any()
    assert bundle.sidecar.columns[3].missing_fraction > 0.1


def test_a_sample_without_complete_rows(tmp_path):
    frame = pd.DataFrame({"a": [1, None], "b": [1, 2], "c": [None, 1], "d": [0, 1]})
    frame.to_parquet(tmp_path / "sample.parquet")
    with pytest.raises(MissingValueError, match="every row of the sample has a missing value; --impute"):
        export("linear", tmp_path / "sample.parquet", tmp_path)


def test_without_gradient_there_is_no_torchscript(complete_path, tmp_path):
    bundle = export("WithoutGradient", complete_path, tmp_path)
    assert not bundle.sidecar.capabilities["gradients"].available
    assert "model.pt" not in bundle.sidecar.files
    assert "gradient" not in vectors(bundle, "conformance.parquet")


@pytest.mark.parametrize("source", ["UnscriptableConvolution", "Recurrent"])
def test_traced_and_recurrent_networks(source, complete_path, tmp_path):
    bundle = export(source, complete_path, tmp_path)
    rows = vectors(bundle, "conformance.parquet")["features"].astype(np.float32)
    for engine in (load_torchscript(bundle.read_bytes("model.pt")),):
        outputs = engine(torch.from_numpy(rows))
        expected = Session(bundle, "cpu").predict(rows)
        for got, name in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(got, expected[name], atol=1e-5)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("Baked", ExportError),
        *((each, ParityError) for each in ("Contradictory", "BatchDependent", "Logarithm")),
    ],
)
def test_a_breach_writes_nothing(source, error, complete_path, tmp_path):
    with pytest.raises(error):
        export(source, complete_path, tmp_path)
    assert os.listdir(tmp_path) == []


def test_features_choose_and_order_the_inputs(frame, tmp_path):
    frame.to_csv(tmp_path / "sample.csv", index=False)
    bundle = export("linear", tmp_path / "sample.csv", tmp_path, features=("f5", "f1", "f0", "f4"))
    assert bundle.sidecar.column_names == ("f5", "f1", "f0", "f4")


def test_options_that_do_not_fit(complete_path, tmp_path):
    with pytest.raises(ExportError, match="a logit for each of the 2 classes, got 3 a row"):
        export("linear", complete_path, tmp_path, classes=("a", "b"))
    with pytest.raises(UsageError, match="--classes: expected names that differ"):
        export("linear", complete_path, tmp_path, classes=("a", "b", "a"))
    with pytest.raises(UsageError, match="there is no file"):
        export("linear", complete_path, tmp_path, weights=tmp_path / "none.pt")
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="exists"):
        export("linear", complete_path, tmp_path)
