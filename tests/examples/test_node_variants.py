"""Smaller variants of a bundle, by Node.js: each is found by its name, and judged by its own tolerances."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support.programs import node
from whyport import Bundle, Session
from whyport.runtime.bundle.precisions import bundle_in

ROWS = 20


@pytest.fixture
def bundle(shrunk_bundle: Path, tmp_path: Path) -> Path:
    """A copy, to be spoiled."""
    return Path(shutil.copytree(shrunk_bundle, tmp_path / "bundle"))


@pytest.fixture
def table(shrunk_bundle: Path, tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    columns = Bundle.read(shrunk_bundle).sidecar.columns
    values = {each.name: generator.normal(each.statistics.mean, each.spread, ROWS) for each in columns}
    file = tmp_path / "rows.csv"
    pd.DataFrame(values).to_csv(file, index=False)
    return file


def spoil(bundle: Path, name: str, content: bytes) -> None:
    """Write a file of a bundle, with its digest."""
    (bundle / name).write_bytes(content)
    document = json.loads((bundle / "bundle.json").read_text())
    document["files"][name] = hashlib.sha256(content).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(document))


def vectors(bundle: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((bundle / "conformance.json").read_text())
    return document


def test_full_size_and_every_variant_are_replayed(shrunk_bundle: Path) -> None:
    done = node("verify", shrunk_bundle)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    tolerances = {"model.onnx": vectors(shrunk_bundle)["tolerances"]["outputs"]}
    for name, own in vectors(shrunk_bundle)["variants"].items():
        tolerances[f"model.{name}.onnx"] = own["tolerances"]["outputs"]
    assert len(tolerances) == 3
    assert {line[0] for line in lines} == {
        *("model.onnx", "explain.onnx", "gradient.onnx", "model.int8.onnx", "explain.int8.onnx"),
        *("model.float16.onnx", "explain.float16.onnx", "gradient.float16.onnx"),
    }
    for graph, output, off, _, tolerance, verdict in lines:
        assert verdict == "ok"
        if output == "logits" and graph in tolerances:
            assert float(tolerance) == pytest.approx(tolerances[graph], rel=0.05)
            assert (float(off) > 1e-5) == (graph != "model.onnx")  # it is the smaller graph that was run


def test_one_variant_is_replayed_alone(shrunk_bundle: Path) -> None:
    done = node("verify", shrunk_bundle, "--variant", "int8")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == {"model.int8.onnx", "explain.int8.onnx"}


@pytest.mark.parametrize("variant", ["float16", "int8"])
def test_a_variant_scores_and_explains_as_in_python(
    shrunk_bundle: Path, table: Path, tmp_path: Path, variant: str
) -> None:
    out = tmp_path / "scored.csv"
    done = node("score", shrunk_bundle, table, "--out", out, "--variant", variant)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    scored, rows = pd.read_csv(out), pd.read_csv(table)
    session, full = Session(bundle_in(Bundle.read(shrunk_bundle), variant)), Session(Bundle.read(shrunk_bundle))
    expected = session.explain(rows)
    attributions = scored[[f"attribution.{column.name}" for column in full.bundle.sidecar.columns]]
    assert_allclose(attributions, expected.values, rtol=1e-4, atol=1e-5)
    assert np.abs(attributions - full.explain(rows).values).max(axis=None) > 5e-4
    size = np.maximum(
        1, np.abs([scored["score"] - scored["base_value"], scored["score"] / 100, scored["base_value"] / 100])
    )
    errors = scored["completeness_error"] / size.max(axis=0)
    assert_array_equal(scored["converged"], errors <= session.bundle.sidecar.tolerances["completeness"])
    assert (scored["converged"] & (errors > full.bundle.sidecar.tolerances["completeness"])).any()


def test_a_graph_that_a_variant_lacks_is_the_one_in_full_size(bundle: Path, table: Path, tmp_path: Path) -> None:
    document = json.loads((bundle / "bundle.json").read_text())
    document["graphs"] = [graph for graph in document["graphs"] if graph["file"] != "explain.int8.onnx"]
    (bundle / "bundle.json").write_text(json.dumps(document))
    scored = {}
    for name, options in {"full": (), "int8": ("--variant", "int8")}.items():
        assert node("score", bundle, table, "--out", tmp_path / name, *options).returncode == 0
        scored[name] = (tmp_path / name).read_text()
    assert scored["full"] == scored["int8"]
    done = node("verify", bundle, "--variant", "int8")
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == {"model.int8.onnx"}


def test_a_variant_beyond_its_tolerance_is_not_reproduced(bundle: Path) -> None:
    document = vectors(bundle)
    document["variants"]["int8"]["tolerances"]["attributions"] = 1e-4
    spoil(bundle, "conformance.json", json.dumps(document).encode())
    done = node("verify", bundle)
    assert done.returncode == 1
    assert re.search(r"explain.int8.onnx +attribution +\S+ of 0.0001  NOT REPRODUCED", done.stdout)
    assert done.stdout.count("NOT REPRODUCED") == 1
    assert done.stderr == f"error: the test vectors of {bundle} are not reproduced here\n"
    assert node("verify", bundle, "--variant", "float16").returncode == 0


def test_test_vectors_without_a_variant_are_refused(bundle: Path) -> None:
    document = vectors(bundle)
    del document["variants"]["int8"]
    spoil(bundle, "conformance.json", json.dumps(document).encode())
    done = node("verify", bundle)
    expected = f"error: expected tolerances of the variant int8 in conformance.json of {bundle}, got none\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_a_changed_or_missing_variant_is_refused(bundle: Path, table: Path) -> None:
    file = bundle / "explain.int8.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    assert node("score", bundle, table).returncode == 0  # full size reads its own files alone
    done = node("score", bundle, table, "--variant", "int8")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: explain.int8.onnx of {bundle} has changed: expected sha256 ")
    file.unlink()
    done = node("score", bundle, table, "--variant", "int8")
    assert (done.returncode, done.stderr) == (1, f"error: explain.int8.onnx of {bundle} is missing\n")


@pytest.mark.parametrize("command", ["verify", "score"])
def test_an_unknown_variant_is_a_wrong_command_line(
    shrunk_bundle: Path, reference_bundle: Path, table: Path, command: str
) -> None:
    more = (table,) if command == "score" else ()
    done = node(command, shrunk_bundle, *more, "--variant", "int4")
    said = "error: --variant: unknown variant 'int4'; the bundle has float16, int8\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    done = node(command, reference_bundle, *more, "--variant", "int8")
    said = f"error: --variant: {reference_bundle} has none; whyport shrink makes some\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
