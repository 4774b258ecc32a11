"""A recurrent layer of many steps in Node.js and in a browser: one Scan, with the attributions of float64."""

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import torch
from numpy.testing import assert_allclose

from support.browser_page import LOADED, look
from support.programs import node, serving
from support.recurrent_bundles import NAMES, make, walks
from whyport.exporter.deepshap import build_program
from whyport.exporter.graphs.pruning import all_nodes
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

ROWS = 9


def test_the_graphs_are_small(long_bundle: Path) -> None:
    for name in ("explain.onnx", "gradient.onnx"):
        nodes = [node.op_type for node in all_nodes(onnx.load(long_bundle / name).graph.node)]
        assert nodes.count("Scan") == 2
        assert len(nodes) <= 300


def test_node_gives_the_attributions_of_float64(long_bundle: Path, tmp_path: Path) -> None:
    verified = node("verify", long_bundle)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "explain.onnx  attribution" in verified.stdout
    assert "gradient.onnx gradient" in verified.stdout
    rows = walks(ROWS, 7)
    table, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.to_csv(table, index=False)
    assert node("score", long_bundle, table, "--out", out).returncode == 0
    network = make().double().requires_grad_(False)
    given = torch.tensor(rows.to_numpy(), dtype=torch.float64)
    program = build_program(network, given)
    references = References.summary(Bundle.read(long_bundle))
    weights, of_references = (torch.tensor(part, dtype=torch.float64) for part in (references.weights, references.rows))
    exact = program.attribute(program.activations(given), program.activations(of_references), weights)
    got = pd.read_csv(out)[[f"attribution.{name}" for name in NAMES]]
    assert_allclose(got, exact[torch.arange(ROWS), network(given).argmax(1)], rtol=0, atol=1e-6)


def test_a_browser_reproduces_the_test_vectors(long_bundle: Path, tmp_path: Path) -> None:
    with serving(long_bundle) as address:
        result = look(address, tmp_path, 'return { failed: byId("conformance").dataset.failed, ...shown() };', *LOADED)
    assert result.result["failed"] == "0"
    assert len(result.result["reasons"]) > 1
    assert np.isfinite(result.result["error"])
