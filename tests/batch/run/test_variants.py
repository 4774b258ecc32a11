"""Runs of a bundle's smaller variants."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.command import Whyport
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.conformance import replay
from whyport.runtime.errors import UsageError
from whyport.runtime.session import Session

ROWS = 60


@pytest.fixture(scope="module")
def bundle(reference_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference bundle with two smaller variants."""
    out = tmp_path_factory.mktemp("small") / "bundle"
    made = whyport.shrink(reference_bundle, out=out, variants=("float16", "int8"), keep_slower=True, max_changed="100%")
    return Path(made.place)


@pytest.fixture(scope="module")
def rows(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sidecar = Bundle.read(bundle).sidecar
    means = np.array([column.statistics.mean for column in sidecar.columns])
    values = (means * np.random.default_rng(0).uniform(0.7, 1.4, (ROWS, len(means)))).astype(np.float32)
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(pa.table(dict(zip(sidecar.column_names, values.T, strict=True))), path)
    return path


def scored(out: Path) -> pa.Table:
    return pq.read_table(next(out.rglob("part*.parquet")))


def directly(bundle: Path, rows: Path, variant: str, output: str = "probabilities") -> np.ndarray[Any, Any]:
    """What ONNX Runtime itself gives."""
    model = onnxruntime.InferenceSession(bundle / f"model.{variant}.onnx", providers=["CPUExecutionProvider"])
    values = np.stack([column.to_numpy() for column in pq.read_table(rows).columns], axis=1)
    return np.asarray(model.run([output], {"features": values})[0])


@pytest.mark.parametrize("variant", ["float16", "int8"])
def test_a_run_scores_and_explains_by_the_variant(bundle: Path, rows: Path, tmp_path: Path, variant: str) -> None:
    out = tmp_path / "out"
    report = whyport.run(bundle, rows, out, variant=variant, explain="deepshap", engine="onnx")
    table = scored(out)
    names = Bundle.read(bundle).sidecar.targets
    got = np.stack([table[f"probability.{name}"].to_numpy() for name in names], axis=1)
    np.testing.assert_allclose(got, directly(bundle, rows, variant), atol=1e-5)
    assert report.rows_out == ROWS
    assert json.loads((out / "_job.json").read_text())["settings"]["variant"] == variant
    shares = np.stack(
        [table[name].to_numpy() for name in table.column_names if name.startswith("attribution.")], axis=1
    )
    score, base = (table[name].to_numpy().astype(np.float64) for name in ("score", "base_value"))
    off = np.abs(shares.sum(axis=1, dtype=np.float64) - (score - base))
    np.testing.assert_allclose(table["completeness_error"].to_numpy(), off, atol=1e-5)
    predicted = np.array([names.index(name) for name in table["prediction"].to_pylist()])
    logits = directly(bundle, rows, variant, "logits")
    np.testing.assert_allclose(score, logits[np.arange(ROWS), predicted], atol=1e-4)  # of the variant's own model
    whyport.audit(out, full=True)
    whyport.audit(out, sample=20)
    assert whyport.show(out, 3)


def test_forward_passes_explain_the_variant_itself(bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport.run(bundle, rows, tmp_path / "out", variant="int8", explain="occlusion")
    table, values = scored(tmp_path / "out"), pq.read_table(rows)
    assert {"attribution." + name for name in values.column_names} <= set(table.column_names)
    whyport.audit(tmp_path / "out", sample=5)


def test_another_variant_does_not_resume_a_run(bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport.run(bundle, rows, tmp_path / "out", variant="int8")
    with pytest.raises(UsageError, match=r'settings.variant: "int8" there, null here'):
        whyport.run(bundle, rows, tmp_path / "out")
    again = whyport.run(bundle, rows, tmp_path / "out", variant="int8")
    assert again.rows_out == ROWS


def test_an_audit_finds_a_run_that_names_another_variant(bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport.run(bundle, rows, tmp_path / "out", variant="int8")
    job = tmp_path / "out" / "_job.json"
    job.write_text(job.read_text().replace('"variant": "int8"', '"variant": "float16"'))
    with pytest.raises(whyport.AuditError):
        whyport.audit(tmp_path / "out", full=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "int4"}, "unknown variant 'int4'"),
        ({"variant": "dynamic-int8"}, "unknown variant 'dynamic-int8'"),
        (
            {"variant": "int8", "explain": "deepshap", "engine": "torchscript"},
            "variant 'int8': expected engine 'onnx', got 'torchscript' for 'deepshap'",
        ),
        (
            {"variant": "int8", "explain": "grad-cam", "engine": "onnx"},
            "expected no 'grad-cam', which PyTorch alone runs",
        ),
    ],
)
def test_what_a_variant_cannot_do_is_refused(
    bundle: Path, rows: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        whyport.run(bundle, rows, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_bundle_without_variants_says_so(
    reference_bundle: Path, tree_bundle: Path, rows: Path, tmp_path: Path
) -> None:
    for path in (reference_bundle, tree_bundle):
        with pytest.raises(UsageError, match="variant 'int8': the bundle has none; whyport shrink makes some"):
            whyport.run(path, rows, tmp_path / "out", variant="int8")


def test_the_command_predicts_by_the_variant(whyport: Whyport, bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport("predict", bundle, rows, "--variant", "int8", "--out", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    names = Bundle.read(bundle).sidecar.targets
    got = np.stack([table[f"probability.{name}"].to_numpy() for name in names], axis=1)
    np.testing.assert_allclose(got, directly(bundle, rows, "int8"), atol=1e-5)
    whyport(
        "run", bundle, rows, "--variant", "int8", "--out", tmp_path / "out", "--explain", "deepshap", "--engine", "onnx"
    )
    whyport("report", tmp_path / "out", "--out", tmp_path / "page.html")
    whyport("faithfulness", tmp_path / "out", "--sample", 5)
    assert "in the variant int8" in whyport("lineage", tmp_path / "out").output
    whyport("run", bundle, rows, "--explain", "deepshap", "--engine", "onnx", "--out", tmp_path / "full")
    compared = whyport("compare", tmp_path / "full", tmp_path / "out").output
    assert "not the same variant of the model: full size and int8" in compared
    assert "probability" in whyport("compare", bundle, tmp_path / "out").output


def test_tables_in_memory_are_scored_by_the_variant(bundle: Path, rows: Path) -> None:
    table = whyport.ArrowScorer(bundle, variant="int8", explain="deepshap", engine="onnx")(pq.read_table(rows))
    names = Bundle.read(bundle).sidecar.targets
    got = np.stack([table[f"probability.{name}"].to_numpy() for name in names], axis=1)
    np.testing.assert_allclose(got, directly(bundle, rows, "int8"), atol=1e-5)
    assert replay(Session(bundle, variant="int8"))


OPTIONS: dict[str, Any] = {"explain": "deepshap", "part_rows": 20, "batch_rows": 20, "device": "cpu"}


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("part-*.parquet")}


def test_without_an_engine_a_variant_is_explained_by_onnx_runtime(bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport.run(bundle, rows, tmp_path / "out", variant="int8", **OPTIONS)
    job = json.loads((tmp_path / "out" / "_job.json").read_text())
    assert job["settings"]["explain"]["engine"] == "onnx"
    assert "torch" not in job["versions"]
    values = np.stack([column.to_numpy() for column in pq.read_table(rows).columns], axis=1)
    graph = onnxruntime.InferenceSession(bundle / "explain.int8.onnx", providers=["CPUExecutionProvider"])
    table = pq.read_table(tmp_path / "out")
    targets = Bundle.read(bundle).sidecar.targets
    target = np.array([targets.index(name) for name in table["explained_target"].to_pylist()])
    given = {"features": values, **{each.name: target for each in graph.get_inputs() if each.name != "features"}}
    (expected,) = graph.run(["attribution"], given)
    shares = [table[f"attribution.{name}"].to_numpy() for name in pq.read_schema(rows).names]
    np.testing.assert_allclose(np.stack(shares, axis=1), expected, atol=1e-5)


def test_a_stopped_run_goes_on_with_the_same_variant_and_shards_make_the_same_bytes(
    bundle: Path, rows: Path, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 40:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        whyport.run(bundle, rows, tmp_path / "stopped", variant="int8", progress=stop, **OPTIONS)
    there = len(parts(tmp_path / "stopped"))
    assert 0 < there < 3
    with pytest.raises(UsageError) as refused:
        whyport.run(bundle, rows, tmp_path / "stopped", variant="float16", **OPTIONS)
    assert 'settings.variant: "int8" there, "float16" here' in str(refused.value.lines())
    report = whyport.run(bundle, rows, tmp_path / "stopped", variant="int8", **OPTIONS)
    assert report.performance.resumed_parts == there
    for shard in ("2/2", "1/2"):
        whyport.run_shard(bundle, rows, tmp_path / "shared", shard, variant="int8", **OPTIONS)
    whyport.run(bundle, rows, tmp_path / "shared", variant="int8", finish_only=True, **OPTIONS)
    assert len(parts(tmp_path / "stopped")) == 3
    assert parts(tmp_path / "shared") == parts(tmp_path / "stopped")


def test_a_worker_elsewhere_has_the_variant(bundle: Path, rows: Path, tmp_path: Path) -> None:
    settings = JobSettings((str(rows),), tmp_path / "out", ("deepshap",), variant="int8", device="cpu")
    worker = Job(Bundle.read(bundle), settings)._attempt.worker
    full = Job(Bundle.read(bundle), JobSettings((str(rows),), tmp_path / "out", device="cpu"))._attempt.worker
    assert worker.setup.build().arithmetic == worker.arithmetic
    assert worker.arithmetic["outputs"] != full.arithmetic["outputs"]


def test_a_bundle_in_a_variant_is_run_and_recorded_in_it(bundle: Path, rows: Path, tmp_path: Path) -> None:
    view = Session(bundle, variant="int8").bundle
    whyport.run(view, rows, tmp_path / "view", **OPTIONS)
    whyport.run(bundle, rows, tmp_path / "named", variant="int8", **OPTIONS)
    assert parts(tmp_path / "view") == parts(tmp_path / "named")


@pytest.mark.parametrize(
    "options", [("--variant", "int4"), ("--variant", "int8", "--explain", "grad-cam"), ("--variant", "dynamic-int8")]
)
def test_the_command_refuses_in_one_line(
    whyport: Whyport, bundle: Path, rows: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    output = whyport("run", bundle, rows, "--out", tmp_path / "out", *options, exit_code=2).output
    assert output.startswith("error: ")
    assert output.count("\n") == 1
