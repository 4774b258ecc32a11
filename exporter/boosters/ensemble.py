"""The trees that a library's converter writes, as one operator of ONNX that gives their sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import NodeProto, helper

from whyport.exporter.graphs.column_inputs import ML
from whyport.runtime.errors import ExportError

OPERATOR = "TreeEnsembleRegressor"
CLASSIFIER = "TreeEnsembleClassifier"

PER_NODE = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)
LARGER = (b"BRANCH_GT", b"BRANCH_GTE")
"""Comparisons that larger values satisfy."""

PER_LEAF = ("treeids", "nodeids", "ids", "weights")


class Ensemble:
    """The trees of a model as the attributes of ONNX's TreeEnsembleRegressor, without a base value or a link.

    Args:
        attributes: arrays by name, one entry a node or one entry a leaf and raw score. Of the nodes, every one comes
            before its children, and these from left to right.
    """

    def __init__(self, attributes: dict[str, NDArray[Any]]) -> None:
        self.attributes = attributes

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "Ensemble":
        """The one ensemble of trees in what a converter wrote, whatever follows it; ExportError where there is none."""
        found = [node for node in model.graph.node if node.op_type in (OPERATOR, CLASSIFIER)]
        if len(found) != 1:
            raise ExportError(f"expected one ensemble of trees from the converter, got {len(found)}")
        given = {item.name: helper.get_attribute_value(item) for item in found[0].attribute}
        prefix = "class" if found[0].op_type == CLASSIFIER else "target"
        nodes = {name: np.asarray(given[name]) for name in PER_NODE}
        order = _preorder(nodes)
        attributes = {name: array[order] for name, array in nodes.items()}
        return cls(attributes | {f"target_{name}": np.asarray(given[f"{prefix}_{name}"]) for name in PER_LEAF})

    @property
    def inner(self) -> NDArray[np.bool_]:
        """The nodes that are no leaf, [M]."""
        inner: NDArray[np.bool_] = self.attributes["nodes_modes"] != b"LEAF"
        return inner

    @property
    def trees(self) -> int:
        """The number of trees."""
        return len(np.unique(self.attributes["nodes_treeids"]))

    def changed(self, **arrays: ArrayLike) -> "Ensemble":
        """The same trees with other arrays."""
        changed = {name: np.asarray(array) for name, array in arrays.items()}
        for name, array in changed.items():
            if array.shape != self.attributes[name].shape:
                raise ExportError(f"the converter gives {len(self.attributes[name])} {name}, the model {len(array)}")
        return Ensemble(self.attributes | changed)

    def scaled(self, factor: float) -> "Ensemble":
        """The same trees with leaves multiplied by a factor."""
        return self.changed(target_weights=self.attributes["target_weights"] * factor)

    def of_target(self, target: int) -> "Ensemble":
        """The trees with the leaves' values of one raw score alone, which becomes the first."""
        kept = self.attributes["target_ids"] == target
        leaves = {f"target_{name}": self.attributes[f"target_{name}"][kept] for name in PER_LEAF}
        return Ensemble(self.attributes | leaves | {"target_ids": np.zeros(int(kept.sum()), dtype=np.int64)})

    def node(self, rows: str, sums: str, base: Sequence[float]) -> NodeProto:
        """The operator that gives the raw scores [N, R], base values included, of rows [N, F]."""
        node = helper.make_node(OPERATOR, [rows], [sums], domain=ML, n_targets=len(base), post_transform="NONE")
        if any(base):
            node.attribute.append(helper.make_attribute("base_values", [float(value) for value in base]))
        node.attribute.extend(helper.make_attribute(name, array.tolist()) for name, array in self.attributes.items())
        return node


def _preorder(nodes: dict[str, NDArray[Any]]) -> list[int]:
    """The positions of the nodes, tree by tree: each node, then the side of smaller values, then the other."""
    names = list(zip(nodes["nodes_treeids"].tolist(), nodes["nodes_nodeids"].tolist(), strict=True))
    position = {name: i for i, name in enumerate(names)}
    modes, true, false = (nodes[f"nodes_{name}"].tolist() for name in ("modes", "truenodeids", "falsenodeids"))
    children: dict[int, tuple[int, int]] = {}
    for i, (tree, _) in enumerate(names):
        if modes[i] != b"LEAF":
            sides = (false[i], true[i]) if modes[i] in LARGER else (true[i], false[i])
            children[i] = position[tree, sides[0]], position[tree, sides[1]]
    below = {child for sides in children.values() for child in sides}
    order: list[int] = []
    for root in (i for i in range(len(names)) if i not in below):
        waiting = [root]
        while waiting:
            node = waiting.pop()
            order.append(node)
            waiting += reversed(children.get(node, ()))
    return order
