"""The trees of scikit-learn's forests and boosted trees, read from the fitted estimators in float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.trees.forest import AT_MOST, Branches, make_trees
from whyport.exporter.trees.links import NONE, SIGMOID, SOFTMAX
from whyport.exporter.trees.read import TreeSum

Floats = NDArray[np.float64]


def read_forest(estimator: Any) -> TreeSum:
    """The mean of a RandomForest's trees: a probability for each class, or a value for each target."""
    trees = [fitted.tree_ for fitted in estimator.estimators_]
    values = [_probabilities(tree) if hasattr(estimator, "classes_") else tree.value[:, :, 0] for tree in trees]
    value = np.concatenate(values) / len(trees)
    weights, offset = np.eye(value.shape[1]), np.zeros(value.shape[1])
    if hasattr(estimator, "classes_") and value.shape[1] == 2:
        # The first class has what is left to 1.
        value, weights, offset = value[:, 1:], np.array([[-1.0], [1.0]]), np.array([1.0, 0.0])
    branches = _branches(
        [tree.children_left for tree in trees],
        [tree.children_right for tree in trees],
        cell=np.concatenate([tree.feature for tree in trees]),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        missing_left=np.concatenate([tree.missing_go_to_left for tree in trees]),
    )
    cover = np.concatenate([tree.weighted_n_node_samples for tree in trees])
    return TreeSum(make_trees(_roots(values), branches, value, weights, offset, cover), NONE)


def read_boosting(estimator: Any) -> TreeSum:
    """The sum of a HistGradientBoosting's trees without categories: margins, or the value of a squared error."""
    stages: Sequence[Any] = estimator._predictors
    nodes = [predictor.nodes for stage in stages for predictor in stage]
    flat = np.concatenate(nodes)
    scores = len(stages[0])
    value = np.zeros((len(flat), scores))
    # A stage has a tree for each score, in their order.
    owner = np.repeat(np.arange(len(nodes)) % scores, list(map(len, nodes)))
    value[np.arange(len(flat)), owner] = flat["value"]
    base = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(-1)
    weights, offset, link = np.eye(scores), base, NONE
    if hasattr(estimator, "classes_"):
        link = SOFTMAX
        if scores == 1:
            weights, offset, link = np.array([[-1.0], [1.0]]), np.array([-base[0], base[0]]), SIGMOID
    leaf = [part["is_leaf"].astype(bool) for part in nodes]
    branches = _branches(
        [np.where(is_leaf, -1, part["left"].astype(np.int64)) for part, is_leaf in zip(nodes, leaf, strict=True)],
        [np.where(is_leaf, -1, part["right"].astype(np.int64)) for part, is_leaf in zip(nodes, leaf, strict=True)],
        cell=flat["feature_idx"],
        threshold=flat["num_threshold"],
        missing_left=flat["missing_go_to_left"],
    )
    cover = flat["count"].astype(np.float64)
    return TreeSum(make_trees(_roots(nodes), branches, value, weights, offset, cover), link)


def _probabilities(tree: Any) -> Floats:
    """The share of each class at each node, [M, C]."""
    votes = tree.value[:, 0, :]
    shares: Floats = votes / votes.sum(axis=1, keepdims=True)
    return shares


def _roots(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """The first node of each tree, where they stand one after the other."""
    return np.cumsum([0, *map(len, parts)])[:-1].astype(np.int64)


def _branches(
    left: Sequence[NDArray[np.int64]],
    right: Sequence[NDArray[np.int64]],
    *,
    cell: NDArray[Any],
    threshold: NDArray[Any],
    missing_left: NDArray[Any],
) -> Branches:
    starts = _roots(left)

    def side(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        moved = [np.where(part < 0, -1, part + start) for part, start in zip(parts, starts, strict=True)]
        return np.concatenate(moved).astype(np.int64)

    yes = side(left)
    return Branches(
        mode=np.where(yes < 0, "LEAF", AT_MOST),
        cell=cell.astype(np.int64),
        threshold=threshold.astype(np.float64),
        missing_yes=missing_left.astype(bool),
        yes=yes,
        no=side(right),
    )
