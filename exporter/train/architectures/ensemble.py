"""What every ensemble of trees has."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from whyport.exporter.trees.read import TreeSum
from whyport.runtime.errors import TrainingError
from whyport.runtime.task import Task


class Ensemble(ABC):
    """Trees on the cells [N, P] of rows, as an estimator of scikit-learn grows them.

    The constructor takes settings with defaults, typed as their defaults; they have scikit-learn's names.
    """

    classification: ClassVar[type[Task]]
    """The task of its classifications: what is explained of a class."""
    imputes: ClassVar[bool]
    """Whether missing numbers are replaced by the training median; otherwise each node has a side for them."""
    stages: ClassVar[str] = ""
    """The setting that says how many trees are grown one on what the others leave; empty where they are independent.

    Validation rows can say how many stages are best."""
    several_targets: ClassVar[bool]
    """Whether it predicts several quantities."""

    @abstractmethod
    def estimator(self, *, classifies: bool, balanced: bool, seed: int, threads: int) -> Any:
        """The estimator, not fitted.

        Args:
            classifies: whether it predicts classes.
            balanced: whether every class weighs alike.
            seed: of its draws.
            threads: how many it may use; they change no tree.
        """

    @abstractmethod
    def read(self, estimator: Any) -> TreeSum:
        """The trees of the fitted estimator over cells, and the link behind their scores."""


def optional(number: int) -> int | None:
    """A limit as scikit-learn takes it: 0 is none."""
    return number or None


def require_whole(minimum: int, **settings: int) -> None:
    """Raise TrainingError for the first setting below the minimum."""
    for name, value in settings.items():
        if value < minimum:
            raise TrainingError(f"setting {name!r}: expected at least {minimum}, got {value}")
