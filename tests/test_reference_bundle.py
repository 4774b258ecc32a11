"""The committed bundle is the golden file of the format: later versions keep reading it and repeat its outputs."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from support.command import Whyport
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import CONFORMANCE, FORMAT_VERSION
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.conformance import replay
from whyport.runtime.session import Session


def test_it_is_read_and_says_what_it_is(reference_bundle: Path) -> None:
    sidecar = Bundle.read(reference_bundle).sidecar
    assert sidecar.format_version == FORMAT_VERSION
    assert sidecar.targets == ("benign", "malignant")
    assert len(sidecar.columns) == 30
    assert sidecar.columns[0].name == "mean radius"
    assert {name: capability.available for name, capability in sidecar.capabilities.items()} == {
        "gradients": True,
        "deepshap": True,
        "grad-cam": True,
        "attention": True,
        "explain-onnx": True,
        "gradient-onnx": True,
    }


def test_it_gives_its_conformance_outputs(reference_bundle: Path) -> None:
    deviations = replay(Session(Bundle.read(reference_bundle), "cpu"))
    assert {"logits", "probabilities", "attention", "explain.onnx attribution", "gradient.onnx gradient"} < set(
        deviations
    )
    assert max(deviations.values()) < 1e-5


def test_its_gradients_are_repeated(reference_bundle: Path) -> None:
    bundle = Bundle.read(reference_bundle)
    features = bundle.sidecar.row_spec
    gradient = TensorSpec("gradient", "float32", features.shape)
    vectors = read_vectors(bundle.read_bytes(CONFORMANCE), (features, gradient))
    table = pq.read_table(io.BytesIO(bundle.read_bytes(CONFORMANCE)))
    explainer = explainer_class("gradient")(
        TorchScriptModel(bundle, "cpu"), References.read(bundle), ExplainSettings().of_method("gradient")
    )
    got = explain(explainer, vectors["features"], table["explained_target"].to_numpy())
    spread = np.array([column.spread for column in bundle.sidecar.columns])
    np.testing.assert_allclose(got.values * spread, vectors["gradient"] * spread, rtol=1e-4, atol=1e-4)


def test_the_commands_accept_it(whyport: Whyport, reference_bundle: Path) -> None:
    assert "files match their digests" in whyport("verify", reference_bundle).output
    assert "mean radius" in whyport("inspect", reference_bundle).output
