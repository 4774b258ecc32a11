"""A task is one class and one line of a table: a second one goes through every command, and nobody else knows of it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from support.bundles import BIAS, WEIGHTS, linear_sidecar, logits_of, refresh_digests, with_outputs, write_vectors
from support.command import Whyport
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    CONFORMANCE,
    CONFORMANCE_JSON,
    METADATA_KEY,
    ONNX_MODEL,
    Capability,
    Sidecar,
)
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.session import Session
from whyport.runtime.task import TASKS, PredictedColumn, Prediction, Task

ROWS = np.random.default_rng(5).normal(size=(40, 3)).astype(np.float32)


class Measurement(Task):
    """Quantities in millimetres: each output is a prediction as it is, and no target is chosen."""

    name = "measurement"
    task = "regression"
    kind = "margin"
    unit = "mm"
    score = "value"
    outputs = ("value",)
    target = "quantity"
    targets_title = "quantities"

    def predicted(self, scores: Any) -> Any:
        return scores.argmax(1) * 0

    @property
    def columns(self) -> tuple[PredictedColumn, ...]:
        return tuple(PredictedColumn(f"prediction.{name}") for name in self.targets)

    def predict(self, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
        values = outputs["value"]
        return Prediction(tuple(np.ascontiguousarray(values.T)), self.predicted(values))

    def counts(self, prediction: Prediction) -> dict[str, int]:
        return {}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The linear model of the other tests, whose two outputs are lengths."""
    monkeypatch.setitem(TASKS, Measurement.name, Measurement)
    path = tmp_path / "bundle"
    path.mkdir()
    sidecar = measurement_sidecar()
    node = helper.make_node("Gemm", ["features", "weights", "bias"], ["value"], transB=1)
    graph = helper.make_graph(
        [node],
        "lengths",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(WEIGHTS, "weights"), numpy_helper.from_array(BIAS, "bias")],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {METADATA_KEY: sidecar.embedded()})
    (path / ONNX_MODEL).write_bytes(model.SerializeToString())
    write_vectors(path / BACKGROUND, {"features": ROWS[:4]}, weight=np.full(4, 0.25))
    write_vectors(path / CONFORMANCE, {"features": ROWS, "value": logits_of(ROWS)})
    (path / CONFORMANCE_JSON).write_text("{}")
    refresh_digests(path, sidecar)
    return path


def measurement_sidecar() -> Sidecar:
    plain = linear_sidecar(False, ("a", "b", "c"), ("width", "height"))
    measured = with_outputs(plain, (TensorSpec("value", "float32", ("N", 2)),))
    capabilities = dict.fromkeys(plain.capabilities, Capability(False, "made by hand"))
    score = dataclasses.replace(plain.score, task="regression", kind="margin", output="value", probabilities=None)
    return dataclasses.replace(measured, graphs=measured.graphs[:1], score=score, capabilities=capabilities)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "parts.parquet"
    measured = {"height": logits_of(ROWS)[:, 1] + np.where(np.arange(40) == 7, 8.0, 0.25)}
    pq.write_table(pa.table(dict(zip("abc", ROWS.T, strict=True)) | measured), path)
    return path


def test_its_bundle_is_checked_and_predicts(bundle: Path, source: Path, whyport: Whyport, tmp_path: Path) -> None:
    onnx.checker.check_model(onnx.load(bundle / ONNX_MODEL))
    whyport("verify", bundle)
    np.testing.assert_allclose(Session(Bundle.read(bundle)).predict(ROWS)["value"], logits_of(ROWS), atol=1e-5)
    whyport("predict", bundle, source, "--out", tmp_path / "predicted.parquet")
    got = pq.read_table(tmp_path / "predicted.parquet")
    assert got.column_names == ["prediction.width", "prediction.height", "imputed_count"]
    np.testing.assert_allclose(got["prediction.height"].to_numpy(), logits_of(ROWS)[:, 1], atol=1e-5)


@pytest.mark.parametrize("choice", ["all", "height"])
def test_it_is_run_audited_shown_and_reported(
    bundle: Path, source: Path, whyport: Whyport, tmp_path: Path, choice: str
) -> None:
    out = tmp_path / "out"
    printed = whyport(
        "run", bundle, source, "--out", out, "--explain", "shapley", "--explain-class", choice, "--keep", "height"
    ).output  # fmt: skip
    assert "worst completeness error" in printed
    assert " mm, 99 % within" in printed
    table = pq.read_table(out)
    np.testing.assert_allclose(table["prediction.width"].to_numpy(), logits_of(ROWS)[:, 0], atol=1e-5)
    suffix = ".height" if choice == "all" else ""
    got = np.stack([table[f"attribution{suffix}.{name}"].to_numpy() for name in "abc"], axis=1)
    np.testing.assert_allclose(got, WEIGHTS[1] * (ROWS - ROWS[:4].mean(axis=0)), atol=1e-5)
    np.testing.assert_allclose(table[f"score{suffix}"].to_numpy(), logits_of(ROWS)[:, 1], atol=1e-5)
    assert "attributions of" in whyport("audit", out).output
    shown = whyport("show", out, "--row", 3).output
    assert f"prediction.height {logits_of(ROWS)[3, 1]:.3f}"[:-2] in shown
    assert "shapley, quantity height: score" in shown
    page = tmp_path / "page.html"
    whyport("report", out, "--out", page)
    text = page.read_text(encoding="utf-8")
    assert "(mm)" in text
    assert "logits" not in text
    words = text.split("</style>")[1].replace('class="', "").replace("explain_class", "")
    assert "class" not in words
    for phrase in (
        "Predicted width",
        "Measured against predicted height",
        "Residuals of height",
        "Furthest off: row 7",
    ):
        assert phrase in text
    assert "Residuals of width" not in text
    assert f">{7.75 / 40 + 0.25:.4g}</td>" in text
