"""ONNX graphs with decision trees that are drawn by chance, and what each tree says by walking it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

ML = "ai.onnx.ml"
COMPARES: dict[str, Callable[[float, float], bool]] = {
    "BRANCH_LEQ": lambda x, t: x <= t,
    "BRANCH_LT": lambda x, t: x < t,
    "BRANCH_GT": lambda x, t: x > t,
    "BRANCH_GTE": lambda x, t: x >= t,
}


@dataclass
class Node:
    """A node of a tree: a comparison with two sides, or a leaf with its weights."""

    mode: str = "LEAF"
    cell: int = 0
    threshold: float = 0.0
    missing_yes: bool = False
    yes: "Node | None" = None
    no: "Node | None" = None
    weights: tuple[float, ...] = ()

    def walk(self, cells: Sequence[float]) -> tuple[float, ...]:
        """The weights of the leaf that a row of float32 cells comes to."""
        if self.yes is None or self.no is None:
            return self.weights
        value = float(cells[self.cell])
        goes = self.missing_yes if np.isnan(value) else COMPARES[self.mode](value, self.threshold)
        return (self.yes if goes else self.no).walk(cells)

    def nodes(self) -> "list[Node]":
        """The node and those below it, breadth first, the sides the wrong way round."""
        found = [self]
        for node in found:
            found += [side for side in (node.no, node.yes) if side is not None]
        return found


def draw_tree(
    rng: np.random.Generator, cells: int, scores: int, depth: int, modes: Sequence[str] = ("BRANCH_LEQ",)
) -> Node:
    """A tree whose thresholds are float32 numbers from a small grid."""
    if depth == 0 or rng.random() < 0.15:
        return Node(weights=tuple(rng.normal(size=scores).astype(np.float32).tolist()))
    return Node(
        mode=str(rng.choice(list(modes))),
        cell=int(rng.integers(cells)),
        threshold=float(np.float32(rng.integers(-4, 5) / 3)),
        missing_yes=bool(rng.random() < 0.5),
        yes=draw_tree(rng, cells, scores, depth - 1, modes),
        no=draw_tree(rng, cells, scores, depth - 1, modes),
    )


def draw_trees(seed: int, count: int = 5, scores: int = 1, modes: Sequence[str] = ("BRANCH_LEQ",)) -> list[Node]:
    """Some trees over 4 cells."""
    rng = np.random.default_rng(seed)
    return [draw_tree(rng, 4, scores, 4, modes) for _ in range(count)]


def draw_rows(seed: int, count: int = 500) -> NDArray[np.float32]:
    """Rows [N, 4] on the thresholds, right beside them, between them, and missing."""
    rng = np.random.default_rng(seed)
    rows = (rng.integers(-5, 6, size=(count, 4)) / 3).astype(np.float32)
    beside = rng.integers(-1, 2, size=rows.shape)
    rows = np.where(beside < 0, np.nextafter(rows, np.float32(-9)), rows)
    rows = np.where(beside > 0, np.nextafter(rows, np.float32(9)), rows)
    rows[rng.random(rows.shape) < 0.15] = np.nan
    return np.asarray(rows)


def sums(trees: Sequence[Node], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sums [N, K] of the leaves' weights."""
    return np.array([np.sum([tree.walk(row) for tree in trees], axis=0) for row in rows])


def named_ensemble(operator: str, trees: Sequence[Node], taken: str, given: Sequence[str], **extra: Any) -> NodeProto:
    """TreeEnsembleClassifier or TreeEnsembleRegressor; a leaf's weights go to scores 0, 1, ... in order."""
    prefix = "class" if operator.endswith("Classifier") else "target"
    columns: dict[str, list[Any]] = {}

    def put(**values: Any) -> None:
        for name, value in values.items():
            columns.setdefault(name, []).append(value)

    for index, tree in enumerate(trees):
        nodes = tree.nodes()
        number = {id(node): len(nodes) - 1 - i for i, node in enumerate(nodes)}
        for node in nodes:
            put(
                nodes_treeids=index,
                nodes_nodeids=number[id(node)],
                nodes_modes=node.mode,
                nodes_featureids=node.cell,
                nodes_values=node.threshold,
                nodes_missing_value_tracks_true=int(node.missing_yes),
                nodes_truenodeids=number.get(id(node.yes), 0),
                nodes_falsenodeids=number.get(id(node.no), 0),
            )
            for score, weight in enumerate(node.weights):
                put(**{f"{prefix}_treeids": index, f"{prefix}_nodeids": number[id(node)]})
                put(**{f"{prefix}_ids": score, f"{prefix}_weights": weight})
    extra = {name: value for name, value in extra.items() if value != ()}
    return helper.make_node(operator, [taken], list(given), domain=ML, **{**columns, **extra})


def regressor(trees: Sequence[Node], taken: str = "x", given: str = "y", **extra: Any) -> NodeProto:
    """TreeEnsembleRegressor."""
    scores = len(next(node.weights for node in trees[0].nodes() if node.weights))
    return named_ensemble("TreeEnsembleRegressor", trees, taken, [given], n_targets=scores, **extra)


def classifier(trees: Sequence[Node], classes: int, taken: str = "x", **extra: Any) -> NodeProto:
    """TreeEnsembleClassifier, which gives "label" and "y"."""
    labels = list(range(classes))
    return named_ensemble("TreeEnsembleClassifier", trees, taken, ["label", "y"], classlabels_int64s=labels, **extra)


def numbered_ensemble(trees: Sequence[Node], aggregate: int = 1, dtype: Any = np.float32) -> NodeProto:
    """TreeEnsemble of ai.onnx.ml 5, one weight a leaf and score 0; roots are no leaves."""
    modes = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT")
    inner = [node for tree in trees for node in tree.nodes() if node.yes is not None]
    leaves = [node for tree in trees for node in tree.nodes() if node.yes is None]
    place = {id(node): i for group in (inner, leaves) for i, node in enumerate(group)}

    def numbers(name: str, values: Sequence[Any], kind: Any) -> TensorProto:
        return numpy_helper.from_array(np.array(values, dtype=kind), name)

    return helper.make_node(
        "TreeEnsemble",
        ["x"],
        ["y"],
        domain=ML,
        n_targets=1,
        aggregate_function=aggregate,
        tree_roots=[place[id(tree)] for tree in trees],
        nodes_modes=numbers("modes", [modes.index(node.mode) for node in inner], np.uint8),
        nodes_featureids=[node.cell for node in inner],
        nodes_splits=numbers("splits", [node.threshold for node in inner], dtype),
        nodes_missing_value_tracks_true=[int(node.missing_yes) for node in inner],
        nodes_truenodeids=[place[id(node.yes)] for node in inner],
        nodes_trueleafs=[int(node.yes is not None and node.yes.yes is None) for node in inner],
        nodes_falsenodeids=[place[id(node.no)] for node in inner],
        nodes_falseleafs=[int(node.no is not None and node.no.yes is None) for node in inner],
        leaf_targetids=[0] * len(leaves),
        leaf_weights=numbers("weights", [node.weights[0] for node in leaves], dtype),
    )


def make_model(
    nodes: Sequence[NodeProto],
    output: str = "y",
    ml: int = 3,
    opset: int = 18,
    constants: dict[str, NDArray[Any]] | None = None,
    axes: int = 2,
) -> onnx.ModelProto:
    """A model from rows "x" [N, 4] to an output."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", None][:axes])],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    sets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, ml)]
    return helper.make_model(graph, opset_imports=sets, ir_version=10)
