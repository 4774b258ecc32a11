"""The trees of scikit-learn's forests and boosted trees, read from the fitted estimators in float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.trees.forest import AT_MOST, Branches, make_trees
from whyport.exporter.trees.links import NONE, SIGMOID, SOFTMAX
from whyport.exporter.trees.read import TreeSum
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import ExportError

Floats = NDArray[np.float64]


def read_forest(estimator: Any) -> TreeSum:
    """The mean of a forest's trees, or one tree: a probability for each class, or a value for each target."""
    trees = [fitted.tree_ for fitted in getattr(estimator, "estimators_", [estimator])]
    values = [_probabilities(tree) if hasattr(estimator, "classes_") else tree.value[:, :, 0] for tree in trees]
    value = np.concatenate(values) / len(trees)
    weights, offset = np.eye(value.shape[1]), np.zeros(value.shape[1])
    if hasattr(estimator, "classes_") and value.shape[1] == 2:
        # The first class has what is left to 1.
        value, weights, offset = value[:, 1:], np.array([[-1.0], [1.0]]), np.array([1.0, 0.0])
    return TreeSum(_make(trees, value, weights, offset), NONE)


def read_gradient_boosting(estimator: Any) -> TreeSum:
    """The sum of a GradientBoosting's trees: margins, or the value of a regression.

    Raises ExportError where it begins with a model of the user's.
    """
    if not (estimator.init_ == "zero" or type(estimator.init_).__module__ == "sklearn.dummy"):
        raise ExportError(
            f"{type(estimator).__name__} begins with {type(estimator.init_).__name__}, which is no number"
        )
    stages = estimator.estimators_
    base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))[0].astype(np.float64)
    scores = len(base)
    trees = [fitted.tree_ for fitted in stages.reshape(-1)]
    # A stage has a tree for each score, in their order.
    owner = np.repeat(np.arange(len(trees)) % scores, [tree.node_count for tree in trees])
    value = np.zeros((len(owner), scores))
    leaves = np.concatenate([tree.value[:, 0, 0] for tree in trees])
    value[np.arange(len(owner)), owner] = estimator.learning_rate * leaves
    weights, offset, link = np.eye(scores), base, NONE
    if hasattr(estimator, "classes_"):
        weights, offset, link = _of_classes(base)
    return TreeSum(_make(trees, value, weights, offset), link)


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
        weights, offset, link = _of_classes(base)
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


def _of_classes(base: Floats) -> tuple[Floats, Floats, str]:
    """The weights, offset and link of margins; one is that of the second of two classes."""
    if len(base) > 1:
        return np.eye(len(base)), base, SOFTMAX
    return np.array([[-1.0], [1.0]]), np.array([-base[0], base[0]]), SIGMOID


def _make(trees: Sequence[Any], value: Floats, weights: Floats, offset: Floats) -> Trees:
    """Trees as scikit-learn's own class `Tree` holds them."""
    branches = _branches(
        [tree.children_left for tree in trees],
        [tree.children_right for tree in trees],
        cell=np.concatenate([tree.feature for tree in trees]),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        missing_left=np.concatenate([tree.missing_go_to_left for tree in trees]),
    )
    cover = np.concatenate([tree.weighted_n_node_samples for tree in trees])
    roots = _roots([tree.feature for tree in trees])
    return make_trees(roots, branches, value, weights, offset, cover)


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
