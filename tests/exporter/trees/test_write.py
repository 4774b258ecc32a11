"""A graph that is written from trees gives their scores, rounded once, and the task's other outputs."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.support.tree_graphs import classifier, draw_rows, draw_trees, make_model, regressor, sums
from whyport.exporter.trees.links import NONE, SIGMOID, SOFTMAX, apply_link
from whyport.exporter.trees.read import TreeSum, read_trees
from whyport.exporter.trees.write import write_trees
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.task import ClassificationByMargin, ProbabilityClassification, Regression, Task

ROWS = draw_rows(1)


def run(model: onnx.ModelProto, rows: np.ndarray = ROWS) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, {"features": rows}), strict=True))


def found(scores: int = 1, link: str = NONE, seed: int = 0) -> TreeSum:
    model = make_model([regressor(draw_trees(seed, count=20, scores=scores), base_values=[0.5] * scores)])
    return TreeSum(read_trees(model, "y", ROWS).trees, link)


@pytest.mark.parametrize(
    ("trees", "task"),
    [
        (found(), Regression(["value"])),
        (found(3), Regression(["a", "b", "c"])),
        (found().of_two_classes(ProbabilityClassification), ProbabilityClassification(["a", "b"])),
        (found(link=SIGMOID).of_two_classes(ClassificationByMargin), ClassificationByMargin(["a", "b"])),
        (found(2, link=SOFTMAX), ClassificationByMargin(["a", "b"])),
        (found(3, link=SOFTMAX), ClassificationByMargin(["a", "b", "c"])),
        (found(3, link=SIGMOID), ClassificationByMargin(["a", "b", "c"])),
    ],
)
def test_outputs_of_every_task(trees: TreeSum, task: Task) -> None:
    made = run(write_trees(trees, task, features=4))
    scores = trees.trees.scores(ROWS)
    assert list(made) == list(task.outputs)
    np.testing.assert_allclose(made[task.score], scores, rtol=2e-7, atol=2e-7)
    for name in task.outputs[1:]:
        np.testing.assert_allclose(made[name], apply_link(trees.link, scores), atol=3e-7)


def test_it_is_read_again() -> None:
    before = read_trees(make_model([classifier(draw_trees(3, scores=3), 3, post_transform="SOFTMAX")]), "y", ROWS)
    again = read_trees(write_trees(before, ClassificationByMargin(["a", "b", "c"]), 4), "probabilities", ROWS)
    assert again.link == SOFTMAX
    assert again.trees.write() == before.trees.write()


def test_sums_are_float64_inside() -> None:
    """Great leaves that cancel: in float32 their sum is off by more than the result."""
    trees = found().trees
    rng = np.random.default_rng(0)
    great = np.where(trees.left[:, None] < 0, rng.normal(size=trees.value.shape) + 1e7, 0)
    moved = dataclasses.replace(trees, value=great, offset=np.array([-1e7 * len(trees.roots)]))
    made = run(write_trees(TreeSum(moved, NONE), Regression(["value"]), 4))["value"]
    np.testing.assert_allclose(made, moved.scores(ROWS), rtol=2e-7, atol=2e-7)


def test_tables_are_looked_up_by_the_category() -> None:
    """Column 1 is a category of 3 codes with two cells; column 0 is a number that the second tree takes."""
    trees = Trees(
        roots=np.array([0, 3, 6], dtype=np.int32),
        cell=np.array([2, -1, -1, 1, -1, -1, 0, -1, -1], dtype=np.int32),
        threshold=np.array([0.5, 0, 0, 1.5, 0, 0, 0.5, 0, 0], dtype=np.float32),
        missing_left=np.array([True] + [False] * 8),
        left=np.array([1, -1, -1, 4, -1, -1, 7, -1, -1], dtype=np.int32),
        right=np.array([2, -1, -1, 5, -1, -1, 8, -1, -1], dtype=np.int32),
        value=np.array([[0], [1], [2], [0], [10], [20], [0], [100], [200]], dtype=np.float64),
        weights=np.ones((1, 1)),
        offset=np.zeros(1),
        columns=np.array([1, 0, 1], dtype=np.int32),
        encoding=np.array([0, -1, 3], dtype=np.int32),
        tables=np.array([0, 1, 0, 1, np.nan, 0], dtype=np.float32),
    )
    rows = np.array([[1, 0], [1, 1], [1, 2], [2, 0], [np.nan, 1]], dtype=np.float32)
    made = run(write_trees(TreeSum(trees, NONE), Regression(["value"]), 2), rows)["value"]
    np.testing.assert_array_equal(made, trees.scores(rows))
    np.testing.assert_array_equal(made[:, 0], [112, 211, 111, 122, 221])


def test_the_oracle_agrees() -> None:
    np.testing.assert_allclose(found().trees.scores(ROWS), sums(draw_trees(0, count=20), ROWS) + 0.5, atol=1e-12)
