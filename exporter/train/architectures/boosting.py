"""Boosted trees."""

from typing import Any, final

from whyport.exporter.train.architectures.base import require_positive
from whyport.exporter.train.architectures.ensemble import Ensemble, optional, require_whole
from whyport.exporter.trees.fitted import read_boosting
from whyport.exporter.trees.read import TreeSum
from whyport.runtime.errors import TrainingError
from whyport.runtime.task import ClassificationByMargin


@final
class Boosting(Ensemble):
    """Gradient boosting on binned values (Ke et al. 2017), scikit-learn's: it needs no package of its own.

    Args:
        learning_rate: the share of each tree that is added.
        max_iter: stages; each grows one tree, or one for each of three or more classes.
        max_leaf_nodes: leaves of a tree; 0 for any number.
        max_depth: splits on the way to a leaf; 0 for any number.
        min_samples_leaf: training rows of a leaf.
        l2_regularization: what leaves are drawn towards 0 by.
    """

    classification = ClassificationByMargin
    imputes = False
    stages = "max_iter"
    several_targets = False

    def __init__(
        self,
        learning_rate: float = 0.1,
        max_iter: int = 100,
        max_leaf_nodes: int = 31,
        max_depth: int = 0,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
    ) -> None:
        require_positive(learning_rate=learning_rate)
        require_whole(1, max_iter=max_iter, min_samples_leaf=min_samples_leaf)
        require_whole(0, max_depth=max_depth)
        if max_leaf_nodes:
            require_whole(2, max_leaf_nodes=max_leaf_nodes)
        if not l2_regularization >= 0:
            raise TrainingError(f"setting 'l2_regularization': expected at least 0, got {l2_regularization}")
        self.settings: dict[str, Any] = {
            "learning_rate": learning_rate,
            "max_iter": max_iter,
            "max_leaf_nodes": optional(max_leaf_nodes),
            "max_depth": optional(max_depth),
            "min_samples_leaf": min_samples_leaf,
            "l2_regularization": l2_regularization,
        }

    def estimator(self, *, classifies: bool, balanced: bool, seed: int, threads: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        # Without early stopping: which rows validate is the table's choice, not the estimator's.
        common: dict[str, Any] = {**self.settings, "random_state": seed, "early_stopping": False}
        if classifies:
            return HistGradientBoostingClassifier(**common, class_weight="balanced" if balanced else None)
        return HistGradientBoostingRegressor(**common)

    def read(self, estimator: Any) -> TreeSum:
        return read_boosting(estimator)
