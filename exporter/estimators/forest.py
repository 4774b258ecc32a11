"""Trees of scikit-learn: one sum over the columns that a person knows, with what came before folded into it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.boosters.steps import CLASSIFIERS, REGRESSORS, ranked_step, read_step
from whyport.exporter.draft import Draft
from whyport.exporter.estimators.convert import last_step
from whyport.exporter.estimators.fitted import Fitted
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.trees.compile import compile_trees
from whyport.exporter.trees.fitted import read_boosting, read_forest, read_gradient_boosting
from whyport.exporter.trees.fold import Encoder, fold
from whyport.exporter.trees.read import TreeSum
from whyport.runtime.bundle.columns import takes_missing

READERS: dict[str, Callable[[Any], TreeSum]] = {
    **dict.fromkeys(("DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier"), read_forest),
    **dict.fromkeys(("DecisionTreeRegressor", "ExtraTreeRegressor", "RandomForestRegressor"), read_forest),
    **dict.fromkeys(("ExtraTreesClassifier", "ExtraTreesRegressor"), read_forest),
    **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), read_gradient_boosting),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), read_boosting),
    **dict.fromkeys((*CLASSIFIERS, *REGRESSORS), read_step),
}
"""What reads the trees of an estimator, by its name."""


def is_forest(model: Any) -> bool:
    """Whether the last step is a sum of trees."""
    return type(last_step(model)).__name__ in READERS


def compile_forest(fitted: Fitted, draft: Draft) -> Compiled:
    """The trees as a bundle's model, over rows of codes.

    Raises ExportError where a step before the trees mixes columns, so that they compare none that a person knows.
    """
    last, columns = last_step(fitted.model), draft.features
    if last is fitted.model and not draft.has_categories:
        return compile_trees(_read(last), draft)
    reader, levels = READERS[type(last).__name__], None
    if reader is read_boosting:
        last, levels = _ranked(last, fitted.width)
    found = _read(last)
    if reader is read_step:
        found, levels = ranked_step(last, found, fitted.width)

    def encode(rows: NDArray[np.float32]) -> NDArray[Any]:
        cells = fitted.cells(rows)
        return cells.astype(np.float32) if levels is None else _ranks(cells, levels)

    encoder = Encoder(
        encode=encode,
        rows=draft.samples.rows,
        names=tuple(column.name for column in columns),
        codes=tuple(None if column.categories is None else column.categories.codes for column in columns),
        missing=tuple(takes_missing(column) for column in columns),
    )
    return compile_trees(replace(found, trees=fold(found.trees, encoder)), draft)


def _read(last: Any) -> TreeSum:
    return READERS[type(last).__name__](last)


def _ranked(last: Any, width: int) -> tuple[Any, list[NDArray[np.float64]]]:
    """The estimator with the rank of each threshold among those of its cell in its place, and the thresholds by cell.

    `x <= t` is the same of ranks, and these are whole numbers in any precision; the trees compare float64.
    """
    ranked = copy.deepcopy(last)
    nodes = [tree.nodes for trees in ranked._predictors for tree in trees]
    inner = [np.flatnonzero(~each["is_leaf"].astype(bool)) for each in nodes]
    cell = np.concatenate([each["feature_idx"][own] for each, own in zip(nodes, inner, strict=True)])
    threshold = np.concatenate([each["num_threshold"][own] for each, own in zip(nodes, inner, strict=True)])
    levels = [np.unique(threshold[cell == j]) for j in range(width)]
    for each, own in zip(nodes, inner, strict=True):
        for node in own:
            known = levels[each["feature_idx"][node]]
            each["num_threshold"][node] = np.searchsorted(known, each["num_threshold"][node])
    return ranked, levels


def _ranks(cells: NDArray[Any], levels: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """The rank of each cell among the thresholds that it is compared with; NaN stays."""
    ranks = np.empty(cells.shape, dtype=np.float32)
    for j, known in enumerate(levels):
        own = cells[:, j].astype(np.float64)
        ranks[:, j] = np.where(np.isnan(own), np.nan, np.searchsorted(known, own, side="left"))
    return ranks
