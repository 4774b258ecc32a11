"""Slow: what a user installs and runs, in environments of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.kind_examples import loans
from whyport.runtime.bundle.folder import Bundle

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_scoring_runs_where_only_cpu_and_batch_are_installed(tmp_path: Path, reference_bundle: Path) -> None:
    environment = tmp_path / "environment"
    variables = os.environ | {"ENVIRONMENT": str(environment), "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts" / "environment", "cpu,batch"], check=True, env=variables)
    listing = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "list", "--format=json"], check=True, capture_output=True
    )
    installed = {package["name"] for package in json.loads(listing.stdout)}
    assert {"onnxruntime", "pyarrow"} <= installed
    assert not {"torch", "onnx", "pandas", "scikit-learn", "matplotlib"} & installed
    features = Bundle.read(reference_bundle).sidecar.columns
    generator = np.random.default_rng(0)
    rows = pa.table(
        {f.name: generator.uniform(f.statistics.minimum, f.statistics.maximum, size=5000) for f in features}
    )
    pq.write_table(rows, tmp_path / "rows.parquet")
    command = [environment / "bin" / "whyport", "run", reference_bundle, tmp_path / "rows.parquet"]
    subprocess.run([*command, "--out", tmp_path / "out"], check=True)
    assert pq.read_table(tmp_path / "out").num_rows == 5000
    assert (tmp_path / "out" / "_SUCCESS").exists()
    explained = subprocess.run(
        [*command, "--out", tmp_path / "explained", "--explain", "gradient"], capture_output=True, text=True
    )
    assert explained.stderr == "error: this needs the package 'torch': pip install 'whyport[explain]'\n"
    assert explained.returncode == 1
    by_onnx = [*command, "--out", tmp_path / "reasons", "--engine", "onnx", "--explain", "deepshap"]
    subprocess.run(by_onnx, check=True)
    reasons = pq.read_table(tmp_path / "reasons")
    assert reasons.num_rows == 5000
    assert all(reasons["converged"].to_pylist())


@pytest.mark.slow
def test_trees_are_explained_where_numba_alone_is_added(tmp_path: Path) -> None:
    """scikit-learn grows the trees here; there, nothing of it is installed, nor PyTorch."""
    table = loans()
    table.to_csv(tmp_path / "train.csv", index=False)
    table.to_parquet(tmp_path / "rows.parquet", index=False)
    settings = {"n_estimators": 10, "max_depth": 6}
    options = {"architecture": "forest", "set": settings, "background": 20, "classes": ["no", "yes"]}
    bundle = whyport.train(tmp_path / "train.csv", "approved", tmp_path / "bundle", **options)
    environment = tmp_path / "environment"
    variables = os.environ | {"ENVIRONMENT": str(environment), "PYTHON": sys.executable}
    subprocess.run([ROOT / "scripts" / "environment", "cpu,batch,trees"], check=True, env=variables)
    program = "import importlib.metadata as m; print(*{d.name.lower() for d in m.distributions()})"
    done = subprocess.run([environment / "bin" / "python", "-c", program], check=True, capture_output=True, text=True)
    installed = set(done.stdout.split())
    assert {"onnxruntime", "numpy", "click", "pyarrow", "numba"} <= installed
    assert not {"torch", "scikit-learn", "scipy", "onnx", "pandas", "xgboost", "xgboost-cpu", "lightgbm"} & installed
    command = [environment / "bin" / "whyport"]
    rows = tmp_path / "rows.parquet"
    subprocess.run([*command, "predict", bundle.path, rows, "--out", tmp_path / "predicted.csv"], check=True)
    asked = ["--explain", "treeshap", "--explain-target", "all", "--out", tmp_path / "there"]
    subprocess.run([*command, "run", bundle.path, rows, *asked], check=True)
    whyport.run(bundle, rows, tmp_path / "here", explain="treeshap", explain_target="all")
    here, there = (pq.read_table(tmp_path / name).to_pandas() for name in ("here", "there"))
    numbers = here.select_dtypes("number").columns
    np.testing.assert_allclose(there[numbers], here[numbers], rtol=1e-6, atol=1e-9)
    assert (tmp_path / "predicted.csv").read_text().count("\n") == len(table) + 1


@pytest.mark.slow
def test_the_demo_runs_from_end_to_end(tmp_path: Path) -> None:
    program = ROOT / "scripts" / "demo.py"
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "2000 in = 1999 out + 1 rejected" in done.stdout
    scored = pq.read_table(tmp_path / "demo" / "scored")
    assert scored.num_rows == 1999
    right = np.mean(np.array(scored["prediction"].to_pylist()) == np.array(scored["diagnosis"].to_pylist()))
    assert right > 0.85
    assert all(scored["converged"].to_pylist())
    assert "report    demo/report.html" in done.stdout
    assert "Attributions for malignant" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
