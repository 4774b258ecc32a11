"""explain.onnx of trees in a bundle: against the whole background, or left out with the reason."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from support.tree_bundles import BOTH, CODES, margin_trees, tree_compiled, tree_draft, tree_rows, tree_table
from support.trees import enumerated, random_trees
from whyport import Session, verify
from whyport.exporter.reasons import of_trees
from whyport.exporter.reasons.compile import compile_reasons
from whyport.exporter.trees.units import UnitChoice
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, TREES_FILE
from whyport.runtime.errors import BundleError


@pytest.fixture(scope="module")
def bundle(tree_bundle: Path) -> Bundle:
    return Bundle.read(tree_bundle)


def test_a_session_explains_against_the_whole_background(bundle: Bundle) -> None:
    rows = tree_rows(np.random.default_rng(0), 50)
    trees, references = margin_trees(), References.read(bundle)
    explained = Session(bundle, "cpu").explain(tree_table(rows))
    target = trees.scores(rows).argmax(axis=1)
    every = enumerated(trees, rows, references)
    np.testing.assert_array_equal(explained.target, target)
    np.testing.assert_allclose(explained.values, every[np.arange(50), target], atol=1e-5)
    assert explained.converged is not None
    assert explained.converged.all()
    one = Session(bundle, "cpu").explain(tree_table(rows), "no")
    np.testing.assert_allclose(one.values, enumerated(trees, rows, references)[:, 0], atol=1e-5)


def test_the_test_vectors_replay_and_the_sidecar_says_what_there_is(bundle: Bundle) -> None:
    sidecar = bundle.sidecar
    assert {"explain.onnx attribution", "explain.onnx score"} <= set(verify(bundle.path).deviations)
    assert sidecar.capabilities["explain-onnx"].available
    assert "treeshap" in sidecar.capabilities["gradient-onnx"].reason
    assert sidecar.parity["explain_attributions"] < 1e-5
    assert [baseline.name for baseline in sidecar.baselines] == ["background"]
    assert "summary.parquet" not in sidecar.files
    assert TREES_FILE in sidecar.files


def test_its_size_is_known_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = tree_draft()
    trees = random_trees(np.random.default_rng(1), 300, 4, codes=CODES, weights=BOTH)
    compiled = tree_compiled(draft, trees)
    made = compile_reasons(draft, compiled)
    said = UnitChoice(trees).size + compiled.onnx.model.ByteSize()
    assert made.graphs[EXPLAIN_MODEL].model.ByteSize() == pytest.approx(said, rel=0.1)
    monkeypatch.setattr(of_trees, "MOST_BYTES", int(said) - 1)
    monkeypatch.setattr(of_trees, "share_tables", None)  # nothing is made
    left = compile_reasons(draft, compiled)
    assert left.graphs == {}
    assert left.exact is None
    reason = left.capabilities["explain-onnx"].reason
    assert reason.startswith("it would have ")
    assert reason.endswith("fewer trees or a smaller max_depth or max_leaf_nodes fits")


def test_a_leaf_of_too_many_columns_leaves_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_trees, "MOST_BITS", 3)
    draft = tree_draft()
    reason = compile_reasons(draft, tree_compiled(draft, margin_trees())).capabilities["explain-onnx"].reason
    assert reason.startswith("a leaf of the trees asks about 4 columns, more than 3: ")


def test_it_is_left_out_by_option_and_by_old_operators(tmp_path: Path) -> None:
    draft = tree_draft(summary=0)
    compiled = tree_compiled(draft, margin_trees())
    assert "--explain-references 0" in compile_reasons(draft, compiled).capabilities["explain-onnx"].reason
    model = compiled.onnx.model
    old = onnx.helper.make_model(model.graph, opset_imports=[onnx.helper.make_opsetid("", 9)])
    older = dataclasses.replace(compiled, onnx=dataclasses.replace(compiled.onnx, model=old))
    reason = compile_reasons(tree_draft(), older).capabilities["explain-onnx"].reason
    assert reason == "the model has opset 9; the graph needs 13 at least"


def test_what_fails_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(of_trees, "tree_graph", fail)
    draft = tree_draft()
    made = compile_reasons(draft, tree_compiled(draft, margin_trees()))
    assert (made.graphs, made.capabilities["explain-onnx"].reason) == ({}, "MemoryError: no room")


def test_gradients_are_refused_by_name(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no gradient.onnx: the scores of trees jump"):
        Session(bundle, "cpu").run_graph("gradient.onnx", np.zeros((1, 4), np.float32), np.zeros(1, np.int64))


def test_trees_without_a_split_share_nothing() -> None:
    draft = tree_draft()
    trees = random_trees(np.random.default_rng(0), 2, 0, codes=CODES, weights=BOTH)
    made = compile_reasons(draft, tree_compiled(draft, trees))
    session = made.graphs[EXPLAIN_MODEL].session
    outputs = session.run(None, draft.feeds(draft.probes(3, 0)) | {"target_index": np.array([-1, 0, 1])})
    np.testing.assert_array_equal(outputs[5], np.zeros((3, 4)))
