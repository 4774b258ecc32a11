"""The agreement of predictions and labels, from the counts of a confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told from the others; 0 in place of a division by zero."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    """The number of rows with this label."""


@dataclass(frozen=True)
class ClassificationReport:
    """The scores of every class, and of all classes together."""

    classes: tuple[ClassScores, ...]
    accuracy: float
    averages: tuple[ClassScores, ...]
    """The plain mean over the classes, and the mean weighted by their rows."""

    @classmethod
    def of(cls, matrix: NDArray[np.int64], names: Sequence[str]) -> Self:
        """The report for rows by label (first axis) and prediction, [C, C]."""
        right = np.diag(matrix).astype(np.float64)
        predicted, support = matrix.sum(axis=0), matrix.sum(axis=1)
        precision, recall = _ratio(right, predicted), _ratio(right, support)
        scores = np.stack([precision, recall, _ratio(2 * precision * recall, precision + recall)], axis=1)
        total = int(matrix.sum())
        averages = {
            "macro average": scores.mean(axis=0),
            "weighted average": _ratio(support @ scores, np.full(3, total)),
        }
        return cls(
            tuple(_scores(n, s, int(k)) for n, s, k in zip(names, scores, support, strict=True)),
            float(_ratio(right.sum(), np.array(total))),
            tuple(_scores(name, s, total) for name, s in averages.items()),
        )


def _scores(name: str, scores: NDArray[np.float64], support: int) -> ClassScores:
    precision, recall, f1 = map(float, scores)
    return ClassScores(name, precision, recall, f1, support)


def _ratio(above: NDArray[np.float64], below: NDArray[np.generic]) -> NDArray[np.float64]:
    divisor = np.asarray(below, dtype=np.float64)
    return np.divide(above, divisor, out=np.zeros(np.broadcast(above, divisor).shape), where=divisor != 0)
