"""Trees as an ONNX graph over rows of codes, whose sums are float64 inside."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from whyport.exporter.graphs.column_inputs import ML, ML_VERSION
from whyport.exporter.graphs.onnx import DEFAULT_IR, DEFAULT_OPSET
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.trees.links import SIGMOID
from whyport.exporter.trees.read import TreeSum
from whyport.runtime.bundle.trees import LEAF, NUMBER, Trees
from whyport.runtime.task import Task


def write_trees(found: TreeSum, task: Task, features: int) -> onnx.ModelProto:
    """The graph from rows "features" [N, F] of numbers and codes to the task's outputs [N, K].

    A score is rounded to float32 once: the leaves are added in float64. Columns of categories may come to have inputs
    of their own, see `take_columns`.

    Args:
        found: the trees, and the link to the probabilities where the scores are margins.
        task: its scores are those of the trees.
        features: the number of columns, F.
    """
    trees = found.trees
    graph = _Graph()
    cells = graph.cells(trees, features)
    base, offset = _inside(trees)
    raw = graph.add("TreeEnsembleRegressor", [cells], domain=ML, **_attributes(trees, features, base))
    scores = task.score
    last = raw
    if not np.array_equal(trees.weights, np.eye(len(trees.offset))):
        last = graph.add("MatMul", [last, graph.constant(trees.weights.T.astype(np.float32))])
    if offset.any():
        last = graph.add("Add", [last, graph.constant(offset.astype(np.float32))])
    graph.add("Identity", [last], scores)
    for name in task.outputs[1:]:
        if found.link == SIGMOID:
            graph.add("Sigmoid", [scores], name)
        else:
            graph.add("Softmax", [scores], name, axis=1)
    made = helper.make_graph(
        graph.nodes,
        "trees",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(offset)]) for name in task.outputs],
        graph.constants,
    )
    sets = [helper.make_opsetid("", DEFAULT_OPSET), helper.make_opsetid(ML, ML_VERSION)]
    return helper.make_model(made, opset_imports=sets, ir_version=DEFAULT_IR)


class _Graph:
    """The nodes and constants of a graph that is being made."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, taken: list[str], name: str = "", domain: str = "", **attributes: Any) -> str:
        """Append an operator; returns the name of what it gives."""
        name = name or f"{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, taken, [name], domain=domain, **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """Append a constant; returns its name."""
        name = f"constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def cells(self, trees: Trees, features: int) -> str:
        """The columns [N, F] and behind them the cells that are looked up, in float64."""
        rows = self.add("Cast", [INPUT], to=TensorProto.DOUBLE)
        looked_up = np.flatnonzero(trees.encoding != NUMBER)
        if not len(looked_up):
            return rows
        columns = self.constant(trees.columns[looked_up].astype(np.int64))
        codes = self.add("Cast", [self.add("Gather", [INPUT, columns], axis=1)], to=TensorProto.INT64)
        places = self.add("Add", [codes, self.constant(trees.encoding[looked_up].astype(np.int64))])
        found = self.add("Gather", [self.constant(trees.tables.astype(np.float64)), places])
        return self.add("Concat", [rows, found], axis=1)


def _inside(trees: Trees) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The base values [R] that go inside the trees' sums, and what is left of the offset [K]."""
    base = np.zeros(trees.weights.shape[1])
    for raw in range(len(base)):
        same = np.flatnonzero((trees.weights == np.eye(len(base))[raw]).all(axis=1))
        if len(same):
            base[raw] = trees.offset[same[0]]
    return base, trees.offset - trees.weights @ base


def _attributes(trees: Trees, features: int, base: NDArray[np.float64]) -> dict[str, Any]:
    """The operator's attributes."""
    nodes, raw = trees.value.shape
    inner = trees.left != LEAF
    tree = np.searchsorted(np.sort(trees.roots), np.arange(nodes), side="right") - 1
    number = np.arange(nodes) - np.sort(trees.roots)[tree]
    looked_up = trees.encoding != NUMBER
    place = np.where(looked_up, features + np.cumsum(looked_up) - 1, trees.columns)
    cell = np.where(inner, place[trees.cell] if len(place) else 0, 0)
    leaves = np.flatnonzero(~inner)
    leaf, target = np.repeat(leaves, raw), np.tile(np.arange(raw), len(leaves))

    def child(side: NDArray[np.int32]) -> list[int]:
        numbers: list[int] = np.where(inner, number[side], 0).tolist()
        return numbers

    def doubles(name: str, value: NDArray[Any]) -> TensorProto:
        return numpy_helper.from_array(value.astype(np.float64), name)

    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": number.tolist(),
        "nodes_featureids": cell.tolist(),
        "nodes_modes": np.where(inner, "BRANCH_LEQ", "LEAF").tolist(),
        "nodes_values_as_tensor": doubles("nodes_values", np.where(inner, trees.threshold, 0)),
        "nodes_truenodeids": child(trees.left),
        "nodes_falsenodeids": child(trees.right),
        "nodes_missing_value_tracks_true": (trees.missing_left & inner).astype(np.int64).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": number[leaf].tolist(),
        "target_ids": target.tolist(),
        "target_weights_as_tensor": doubles("target_weights", trees.value[leaf, target]),
        "base_values_as_tensor": doubles("base_values", base),
        "n_targets": raw,
        "post_transform": "NONE",
    }
