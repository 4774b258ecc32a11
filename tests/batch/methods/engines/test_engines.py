"""Explanations by ONNX Runtime alone are those of the TorchScript path, and need no PyTorch."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from whyport.batch.methods.alone import explain
from whyport.batch.methods.catalogue import METHODS
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, explainer_class
from whyport.batch.methods.method import ONNX, TORCHSCRIPT
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import BundleError, UsageError
from whyport.runtime.session import Session

ON_EITHER = [name for name, method in METHODS.items() if {TORCHSCRIPT, ONNX} <= set(method.engines)]


@pytest.fixture(scope="module")
def read(reference_bundle: Path) -> Bundle:
    return Bundle.read(reference_bundle)


@pytest.fixture(scope="module")
def rows(read: Bundle) -> np.ndarray:
    features = read.sidecar.columns
    generator = np.random.default_rng(3)
    return generator.normal(
        [column.statistics.mean for column in features], [column.spread for column in features], (12, 30)
    ).astype(np.float32)


def explainer(read: Bundle, name: str, engine: str, background: References) -> Explainer:
    settings = ExplainSettings.of(engine=engine).of_method(name)
    model = OnnxModel(Session(read, "cpu")) if engine == ONNX else TorchScriptModel(read, "cpu")
    return explainer_class(name, engine)(model, background, settings)


@pytest.mark.parametrize("name", ON_EITHER)
def test_either_engine_gives_the_same_attributions(name: str, read: Bundle, rows: np.ndarray) -> None:
    summary = References.summary(read)
    targets = np.arange(len(rows)) % 2
    got, expected = (explain(explainer(read, name, engine, summary), rows, targets) for engine in (ONNX, TORCHSCRIPT))
    spread = np.array([column.spread for column in read.sidecar.columns])
    unit = spread if name == "gradient" else 1.0
    # The path methods stop where their tolerance is met, which rounding may move by a node.
    loose = 2e-2 if "d-gradients" in name else 1e-4
    np.testing.assert_allclose(got.values * unit, expected.values * unit, rtol=loose, atol=loose)
    np.testing.assert_allclose(got.output, expected.output, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got.base_value, expected.base_value, rtol=1e-4, atol=1e-4)


@pytest.fixture
def source(tmp_path: Path, read: Bundle, rows: np.ndarray) -> Path:
    names = [*read.sidecar.column_names]
    pq.write_table(pa.table(dict(zip(names, rows.T, strict=True))), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_a_run_needs_no_torch_numba_or_onnx(
    tmp_path: Path, reference_bundle: Path, source: Path, whyport: Whyport
) -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'numba', 'onnx', 'onnxscript'))); "
        "from whyport.cli import main; main(sys.argv[1:], standalone_mode=False)"
    )
    methods = [part for name in ON_EITHER for part in ("--explain", name)]
    command = [sys.executable, "-c", program, "run", reference_bundle, source, "--out", tmp_path / "out", *methods]
    blocked = subprocess.run(command, capture_output=True, text=True)
    assert "this needs the package 'torch'" in blocked.stderr
    done = subprocess.run([*command, "--engine", "onnx"], capture_output=True, text=True)
    assert "12 in = 12 out + 0 rejected" in done.stdout, done.stderr
    job = json.loads((tmp_path / "out" / "_job.json").read_text())
    assert job["settings"]["explain"]["engine"] == "onnx"
    assert "torch" not in job["versions"]
    table = pq.read_table(next((tmp_path / "out").glob("part-*.parquet")))
    assert all(table["deepshap.converged"].to_pylist())
    audit = [sys.executable, "-c", program, "audit", tmp_path / "out", "--sample", "12"]
    audited = subprocess.run(audit, capture_output=True, text=True)
    assert audited.returncode == 0, audited.stderr
    assert whyport("show", tmp_path / "out", "--row", "3").exit_code == 0


def test_another_engine_is_another_job(tmp_path: Path, read: Bundle, source: Path) -> None:
    def job(engine: str) -> Job:
        explain = ExplainSettings.of(engine=engine)
        return Job(read, JobSettings((str(source),), tmp_path / "out", ("gradient",), explain=explain))

    job(ONNX).run()
    with pytest.raises(UsageError, match=r"engine: \"onnx\" there, \"torchscript\" here"):
        job(TORCHSCRIPT).run()


def test_a_bundle_without_the_graph_is_refused_with_the_reason(
    tmp_path: Path, bundle: Path, write: Callable[..., Path]
) -> None:
    rows = write(pa.table({name: [0.0, 1.0] for name in "abc"}))
    settings = JobSettings((str(rows),), tmp_path / "out", ("deepshap",), explain=ExplainSettings.of(engine=ONNX))
    with pytest.raises(BundleError, match="cannot serve 'deepshap': made by hand"):
        Job(Bundle.read(bundle), settings)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown engine 'onxx' \(did you mean 'onnx'\?\)"):
        ExplainSettings.of(engine="onxx")
