"""The trees of one ONNX operator: TreeEnsembleClassifier and TreeEnsembleRegressor, or TreeEnsemble."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from whyport.exporter.trees.forest import Branches, make_trees
from whyport.exporter.trees.links import NONE, SIGMOID, SOFTMAX
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import ExportError

ENSEMBLES = {"TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"}
"""The operators of ai.onnx.ml that hold trees."""

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
"""By the numbers of TreeEnsemble."""
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
"""By the numbers of TreeEnsemble."""
LINKS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
"""By the numbers of TreeEnsemble."""


def is_ensemble(node: NodeProto) -> bool:
    """Whether the operator holds trees."""
    return node.op_type in ENSEMBLES and node.domain == "ai.onnx.ml"


def read_ensemble(node: NodeProto) -> tuple[Trees, str]:
    """The trees of an operator, over the cells of its input, and the link behind their scores.

    The scores are the columns [N, K] of the operator's output as they are before the link; what ONNX leaves open goes
    by ONNX Runtime.

    Raises:
        ExportError: the operator is no sum of trees that compare numbers.
    """
    attributes = {attribute.name: _value(helper.get_attribute_value(attribute)) for attribute in node.attribute}
    attributes = {name.removesuffix("_as_tensor"): value for name, value in attributes.items()}
    try:
        if node.op_type == "TreeEnsemble":
            return _read_numbered(attributes)
        return _read_named(attributes, "class" if node.op_type == "TreeEnsembleClassifier" else "target")
    except (KeyError, IndexError, ValueError) as error:
        raise ExportError(f"{node.op_type} is damaged: {error}") from None


def _value(value: Any) -> Any:
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [text.decode() for text in value]
    return value.decode() if isinstance(value, bytes) else value


def _read_named(given: Mapping[str, Any], kind: str) -> tuple[Trees, str]:
    """Operators of ai.onnx.ml 1 to 3, whose nodes are named by their tree and number."""
    names = np.stack([np.array(given["nodes_treeids"]), np.array(given["nodes_nodeids"])])
    find = _finder(names)
    modes = np.array(given["nodes_modes"])
    inner = np.flatnonzero(modes != "LEAF")
    count, trees = len(modes), names[0]
    yes, no = (np.full(count, -1, dtype=np.int64) for _ in range(2))
    for side, name in ((yes, "nodes_truenodeids"), (no, "nodes_falsenodeids")):
        side[inner] = find(trees[inner], np.array(given[name])[inner])
    missing = given.get("nodes_missing_value_tracks_true", ())
    branches = Branches(
        mode=modes,
        cell=np.array(given["nodes_featureids"]),
        threshold=np.array(given["nodes_values"], dtype=np.float64),
        missing_yes=np.array(missing, dtype=bool) if len(missing) else np.zeros(count, dtype=bool),
        yes=yes,
        no=no,
    )
    leaf = find(np.array(given[f"{kind}_treeids"]), np.array(given[f"{kind}_nodeids"]))
    ids, weights = np.array(given[f"{kind}_ids"]), np.array(given[f"{kind}_weights"], dtype=np.float64)
    base = np.array(given.get("base_values", ()), dtype=np.float64)
    link = _link(given.get("post_transform", "NONE"))
    if kind == "class":
        scores = max(len(given.get(f"classlabels_{type_}", ())) for type_ in ("int64s", "strings"))
    else:
        scores = int(given.get("n_targets", 1))
        link = link if scores > 1 else NONE  # ONNX Runtime applies none to one target
    value = np.zeros((count, scores))
    np.add.at(value, (leaf, ids), weights)
    children = np.concatenate([yes[inner], no[inner]])
    roots = np.setdiff1d(np.arange(count), children)
    if not np.array_equal(np.sort(trees[roots]), np.unique(trees)):
        raise ValueError("expected one root of each tree")
    value *= _share(given.get("aggregate_function", "SUM"), len(roots))
    if kind == "class" and scores == 2:
        value, matrix, offset, link = _two_classes(value, ids, weights, base, link)
    else:
        matrix, offset = np.eye(scores), base if len(base) else np.zeros(scores)
    if offset.shape != (scores,):
        raise ValueError(f"{len(base)} base values for {scores} scores")
    return make_trees(roots, branches, value, matrix, offset), link


def _two_classes(
    value: NDArray[np.float64],
    ids: NDArray[np.int64],
    weights: NDArray[np.float64],
    base: NDArray[np.float64],
    link: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], str]:
    """The leaves, weights, offset and link of a classifier of two classes; one raw score of both is one column.

    ONNX does not say what one raw score beside two classes means. ONNX Runtime gives the second class the score where
    its id is 0, and the first minus it; or what is left to 1, where no leaf is negative and no sigmoid follows.
    """
    first = base[0] if len(base) else 0.0
    if set(ids.tolist()) == {0} and len(base) < 2:
        votes = (weights >= 0).all() and link != SIGMOID
        offset = np.array([1 - first, first]) if votes else np.array([-first, first])
        return value[:, :1], np.array([[-1.0], [1.0]]), offset, link if link == SIGMOID else NONE
    if set(ids.tolist()) == {1} and len(base) < 2:
        # The first class has no score, and so 0.
        if link == SOFTMAX:  # of 0 and z, which is the sigmoid of z
            return value[:, 1:], np.array([[-1.0], [1.0]]), np.zeros(2), SIGMOID
        return value[:, 1:], np.array([[0.0], [1.0]]), np.zeros(2), link
    if len(base) == 2:
        raise ExportError("two base values of two classes mean something else in every runtime")
    return value, np.eye(2), np.array([first, 0.0]), link


def _read_numbered(given: Mapping[str, Any]) -> tuple[Trees, str]:
    """TreeEnsemble of ai.onnx.ml 5, whose leaves have their own numbers."""
    codes = np.asarray(given["nodes_modes"])
    inner, leaves = len(codes), len(given["leaf_weights"])
    count, scores = inner + leaves, int(given["n_targets"])
    yes, no = (np.full(count, -1, dtype=np.int64) for _ in range(2))
    for side, name in ((yes, "true"), (no, "false")):
        side[:inner] = np.array(given[f"nodes_{name}nodeids"]) + inner * np.array(given[f"nodes_{name}leafs"])
    missing, nothing = given.get("nodes_missing_value_tracks_true", ()), np.zeros(leaves)
    missing = missing if len(missing) else np.zeros(inner)
    branches = Branches(
        mode=np.array([*(MODES[code] for code in codes.tolist()), *["LEAF"] * leaves]),
        cell=np.concatenate([np.array(given["nodes_featureids"]), nothing]).astype(np.int64),
        threshold=np.concatenate([np.asarray(given["nodes_splits"], dtype=np.float64), nothing]),
        missing_yes=np.concatenate([np.array(missing), nothing]).astype(bool),
        yes=yes,
        no=no,
    )
    value = np.zeros((count, scores))
    value[inner + np.arange(leaves), np.array(given["leaf_targetids"])] = given["leaf_weights"]
    roots = np.array(given["tree_roots"])
    value *= _share(AGGREGATES[given.get("aggregate_function", 1)], len(roots))
    link = _link(LINKS[given.get("post_transform", 0)])
    link = link if scores > 1 else NONE
    return make_trees(roots, branches, value, np.eye(scores), np.zeros(scores)), link


def _finder(names: NDArray[np.int64]) -> Any:
    """The function from trees and numbers to the nodes' positions; ValueError where there is no such node."""
    width = int(names[1].max()) + 1 if names.size else 1
    keys = names[0] * width + names[1]
    order = np.argsort(keys, kind="stable")

    def find(trees: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        wanted = trees * width + numbers
        at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        if (keys[order][at] != wanted).any() or (numbers >= width).any():
            raise ValueError("it names nodes that it does not have")
        return order[at]

    return find


def _share(aggregate: str, trees: int) -> float:
    if aggregate not in ("SUM", "AVERAGE"):
        raise ExportError(f"its trees are aggregated by {aggregate}, which is no sum")
    return 1.0 if aggregate == "SUM" else 1.0 / trees


def _link(name: str) -> str:
    known = {"NONE": NONE, "LOGISTIC": SIGMOID, "SOFTMAX": SOFTMAX}
    if name not in known:
        raise ExportError(f"the trees' sum goes through {name}, which no margin is taken from")
    return known[name]
