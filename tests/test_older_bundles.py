"""Bundles of older format versions do what they always did: every one that a release has written stays usable."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from support.command import Whyport
from support.engines import OF_NETWORKS
from whyport import Bundle, Session, audit, run, verify

GOLDEN = Path(__file__).parent / "golden"
ROWS = 5


@pytest.fixture(scope="module", params=[1, 2], ids=lambda version: f"version {version}")
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle.read(GOLDEN / f"format_{request.param}")


@pytest.fixture
def table(bundle: Bundle, tmp_path: Path) -> Path:
    """The first test vectors as a table of the user's; some values are missing."""
    columns = dict(zip(bundle.sidecar.column_names, vectors(bundle, "features").T, strict=True))
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": np.arange(ROWS), **columns}), path)
    return path


def vectors(bundle: Bundle, name: str) -> NDArray[np.float64]:
    """The first test vectors of a tensor, [N, ...]."""
    return np.array(pq.read_table(bundle.path / "conformance.parquet")[name].to_pylist()[:ROWS])


def test_it_is_verified_and_predicts_what_its_test_vectors_say(bundle: Bundle, table: Path, whyport: Whyport) -> None:
    assert max(verify(bundle, "cpu").deviations.values()) < 1e-4
    assert "classification, format version" in whyport("inspect", bundle.path).output
    outputs = Session(bundle, "cpu").predict(pq.read_table(table))
    for name in ("logits", "probabilities", "attention"):
        assert_allclose(outputs[name].reshape(ROWS, -1), vectors(bundle, name), atol=1e-5)
    printed = whyport("predict", bundle.path, table, "--keep", "id").stdout.splitlines()
    assert printed[0].startswith('"id","prediction","probability.benign"')
    assert len(printed) == 1 + ROWS


def test_its_explaining_graph_gives_what_its_test_vectors_say(bundle: Bundle, table: Path) -> None:
    if not bundle.sidecar.capabilities["explain-onnx"].available:
        assert bundle.sidecar.format_version == 1
        return
    index = vectors(bundle, "class_index")
    assert {-1, 0, 1} == set(index)
    explained = Session(bundle, "cpu").run_graph("explain.onnx", vectors(bundle, "features").astype(np.float32), index)
    assert_array_equal(explained["explained_target"], vectors(bundle, "explained_class"))
    for name in ("score", "base_value", "attribution"):
        assert_allclose(explained[name], vectors(bundle, name), atol=1e-5)


@pytest.mark.slow
def test_it_is_run_with_every_method_and_audited(bundle: Bundle, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "scored"
    few = {"samples": 40, "permutations": 4}
    done = run(bundle, table, out, explain=OF_NETWORKS, keep="id", on_bad_row="impute", device="cpu", **few)
    assert (done.rows_out, set(done.explained)) == (ROWS, set(OF_NETWORKS))
    assert done.methods["deepshap"].worst_completeness_error < 1e-4
    (part,) = out.glob("part-*.parquet")
    scored = pq.read_table(part)
    predicted = vectors(bundle, "logits").argmax(axis=1)
    assert_array_equal(scored["prediction"], np.array(bundle.sidecar.targets)[predicted])
    # The graph's gradient of a missing value is 0; a run imputes the value first.
    there = ~np.isnan(vectors(bundle, "features"))
    there[vectors(bundle, "explained_class") != predicted] = False
    assert there.any(axis=1).sum() >= 2
    gradients = np.array([scored[f"gradient.attribution.{name}"] for name in bundle.sidecar.column_names]).T
    assert_allclose(gradients[there], vectors(bundle, "gradient")[there], rtol=1e-4, atol=1e-5)
    assert audit(out, device="cpu")
