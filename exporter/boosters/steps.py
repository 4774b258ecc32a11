"""Boosted trees as the last step of a pipeline of scikit-learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.cover import by_node
from whyport.exporter.boosters.kind import BoosterKind
from whyport.exporter.kinds import kind_of
from whyport.exporter.source import ModelSource
from whyport.exporter.trees.read import TreeSum
from whyport.runtime.bundle.trees import LEAF

CLASSIFIERS = ("XGBClassifier", "XGBRFClassifier", "LGBMClassifier", "CatBoostClassifier")
REGRESSORS = ("XGBRegressor", "XGBRFRegressor", "LGBMRegressor", "CatBoostRegressor")


def read_step(estimator: Any) -> TreeSum:
    """The trees of a fitted step over the cells that it takes; raises ExportError where the score is no sum of them."""
    boosted = _kind(estimator).boosted
    return boosted.tree_sum(np.zeros((1, boosted.features), dtype=np.float32))


def step_margins(estimator: Any, cells: Any) -> NDArray[Any]:
    """The margins of cells [N, P], [N] or [N, R], as the step's library computes them."""
    dense = cells.toarray() if hasattr(cells, "toarray") else cells
    return _kind(estimator).margins(np.asarray(dense))


def ranked_step(estimator: Any, found: TreeSum, width: int) -> tuple[TreeSum, list[NDArray[np.float64]] | None]:
    """The trees of a step with the rank of each threshold among those of its cell in its place, and these by cell.

    `x <= t` is the same of ranks, which are whole numbers in any precision. Of a library that compares float32, the
    trees are as they were, and there are no ranks.
    """
    thresholds = _kind(estimator).boosted.thresholds
    if thresholds is None:
        return found, None
    trees = found.trees
    exact = by_node(trees, thresholds)
    inner = np.flatnonzero(trees.left != LEAF)
    place = trees.columns[trees.cell[inner]]
    levels = [np.unique(exact[inner[place == j]]) for j in range(width)]
    ranks = trees.threshold.copy()
    for j, known in enumerate(levels):
        own = inner[place == j]
        ranks[own] = np.searchsorted(known, exact[own])
    return replace(found, trees=replace(trees, threshold=ranks)), levels


def _kind(estimator: Any) -> BoosterKind:
    name = type(estimator).__name__
    kind = kind_of(estimator, name)(estimator, ModelSource(name, Path()))
    assert isinstance(kind, BoosterKind)
    return kind
