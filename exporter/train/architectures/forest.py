"""A random forest."""

from typing import Any, final

from whyport.exporter.train.architectures.ensemble import Ensemble, optional, require_whole
from whyport.exporter.trees.fitted import read_forest
from whyport.exporter.trees.read import TreeSum
from whyport.runtime.errors import TrainingError
from whyport.runtime.task import ProbabilityClassification

AUTO = "auto"
ROOTS = ("sqrt", "log2")


@final
class Forest(Ensemble):
    """A random forest (Breiman 2001) of scikit-learn: trees on resampled rows, whose mean is the prediction.

    Args:
        n_estimators: trees.
        max_depth: splits on the way to a leaf; 0 for any number.
        max_leaf_nodes: leaves of a tree; 0 for any number.
        min_samples_leaf: training rows of a leaf.
        max_features: cells that a split chooses from: "sqrt", "log2" or a share; "auto" is "sqrt" for classes and all
            for quantities, as scikit-learn has it.
    """

    classification = ProbabilityClassification
    imputes = True
    several_targets = True

    def __init__(
        self,
        n_estimators: int = 100,
        max_depth: int = 0,
        max_leaf_nodes: int = 0,
        min_samples_leaf: int = 1,
        max_features: str = AUTO,
    ) -> None:
        require_whole(1, n_estimators=n_estimators, min_samples_leaf=min_samples_leaf)
        require_whole(0, max_depth=max_depth)
        if max_leaf_nodes:
            require_whole(2, max_leaf_nodes=max_leaf_nodes)
        self.shape = {
            "n_estimators": n_estimators,
            "max_depth": optional(max_depth),
            "max_leaf_nodes": optional(max_leaf_nodes),
            "min_samples_leaf": min_samples_leaf,
        }
        self.chosen = _share(max_features)

    def estimator(self, *, classifies: bool, balanced: bool, seed: int, threads: int) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        common: dict[str, Any] = {**self.shape, "random_state": seed, "n_jobs": threads}
        if self.chosen != AUTO:
            common["max_features"] = self.chosen
        if classifies:
            return RandomForestClassifier(**common, class_weight="balanced" if balanced else None)
        return RandomForestRegressor(**common)

    def read(self, estimator: Any) -> TreeSum:
        return read_forest(estimator)


def _share(text: str) -> str | float:
    if text in (AUTO, *ROOTS):
        return text
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        expected = "auto, sqrt, log2 or a share above 0 and at most 1"
        raise TrainingError(f"setting 'max_features': expected {expected}, got {text!r}")
    return share
