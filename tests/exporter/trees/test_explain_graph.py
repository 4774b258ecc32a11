"""explain.onnx of trees: ONNX Runtime gives the Shapley values of their definition, from plain operators."""

import numpy as np
import onnx
import pytest

from support.trees import enumerated, random_rows, random_trees
from whyport.exporter.graphs.join import joined
from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.trees.explain_graph import tree_graph
from whyport.exporter.trees.links import NONE, SIGMOID
from whyport.exporter.trees.read import TreeSum
from whyport.exporter.trees.tables import of_single_scores, share_tables
from whyport.exporter.trees.units import UnitChoice
from whyport.exporter.trees.write import write_trees
from whyport.exporter.verify.reasons import asked_targets, verify_explain
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.task import ClassificationByMargin, ProbabilityClassification, Regression, Task

CODES = (None, 4, None, 3, None)
NUMBERS = (None, None, None)
TASKS = {
    "margin": (ClassificationByMargin(("no", "yes")), np.array([[-1.0], [1.0]]), NUMBERS),
    "probabilities of three classes": (ProbabilityClassification(("a", "b", "c")), np.eye(3), CODES),
    "values": (Regression(("stay", "cost")), np.array([[2.0, 0.5], [0.0, -1.0]]), CODES),
}


def graph_of(trees: Trees, task: Task, codes: tuple[int | None, ...], references: References, **options: object):
    link = SIGMOID if isinstance(task, ClassificationByMargin) else NONE
    single = of_single_scores(trees)
    shares = share_tables(single, UnitChoice(single), codes, references)
    part = tree_graph(shares, task, len(codes), options.get("imputation"), 18)
    return joined(write_trees(TreeSum(trees, link), task, len(codes)), part), shares


@pytest.mark.parametrize("name", TASKS)
def test_it_gives_the_values_of_enumeration(name: str) -> None:
    generator = np.random.default_rng(5)
    task, weights, codes = TASKS[name]
    trees = random_trees(generator, 12, 4, codes=codes, raw=weights.shape[1], weights=weights)
    rows, references = random_rows(generator, 257, codes), random_rows(generator, 9, codes)
    mass = generator.dirichlet(np.ones(9))
    model, shares = graph_of(trees, task, codes, References(references, mass))
    onnx.checker.check_model(model, full_check=True)
    session = open_onnx(model.SerializeToString())
    parity = verify_explain(session, rows, shares.exact(rows), task, TOLERANCES)
    assert 0 < max(parity.outputs, parity.reasons, parity.completeness) < 2e-6
    index = asked_targets(20, len(task.targets))
    names = [output.name for output in session.get_outputs()]
    got = dict(zip(names, session.run(None, {"features": rows[:20], "target_index": index}), strict=True))
    explained = np.where(index < 0, task.predicted(trees.scores(rows[:20])), index)
    expected = enumerated(trees, rows[:20], References(references, mass))[np.arange(20), explained]
    np.testing.assert_array_equal(got["explained_target"], explained)
    np.testing.assert_allclose(got["attribution"], expected, atol=2e-6)
    np.testing.assert_allclose(got["base_value"], (mass @ trees.scores(references))[explained], atol=2e-6)
    np.testing.assert_allclose(got["score"], trees.scores(rows[:20])[np.arange(20), explained], atol=5e-6)
    assert names == [*task.outputs, "explained_target", "score", "base_value", "attribution", "completeness_error"]
    assert {node.domain for node in model.graph.node} == {"", "ai.onnx.ml"}


def test_trees_without_a_split_share_nothing_of_any_row() -> None:
    task = ClassificationByMargin(("no", "yes"))
    trees = random_trees(np.random.default_rng(1), 3, 0, codes=NUMBERS, weights=TASKS["margin"][1])
    rows = np.array([[1, np.nan, 2], [np.nan] * 3, [np.inf, 0, -np.inf]], dtype=np.float32)
    model, _ = graph_of(trees, task, NUMBERS, References(np.zeros((2, 3), np.float32), np.full(2, 0.5)))
    session = open_onnx(model.SerializeToString())
    attribution, error = session.run(
        ["attribution", "completeness_error"], {"features": rows, "target_index": np.array([-1, 0, 1])}
    )
    np.testing.assert_array_equal(attribution, np.zeros((3, 3)))
    assert (error < 1e-6).all()
