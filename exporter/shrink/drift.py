"""How far scores and attributions move when a model is made smaller."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from whyport.runtime.bundle.score import CLASSIFICATION
from whyport.runtime.task import Task

SPAN = 100
"""A quantity counts as changed where it moves by more than a hundredth of the span of all rows' values."""

Numbers = NDArray[np.floating]


def changed_rows(task: Task, got: Numbers, expected: Numbers) -> int:
    """The number of rows whose prediction is another one.

    Of a classification, another class; of quantities, one that moves by more than a hundredth of its span. A score
    that is not finite in one of both alone is another one.

    Args:
        task: what scores mean.
        got: the smaller model's scores, [N, K].
        expected: the model's own, [N, K].
    """
    finite, own = (np.isfinite(each).all(axis=1) for each in (got, expected))
    if task.task == CLASSIFICATION:
        moved = task.predicted(got) != task.predicted(expected)
    else:
        with np.errstate(invalid="ignore"):
            span = np.ptp(expected[own], axis=0) if own.any() else 0.0
            moved = (np.abs(got - expected) > span / SPAN).any(axis=1)
    return int(((finite != own) | (finite & own & moved)).sum())


def relative_drift(got: Numbers, expected: Numbers) -> float:
    """The sum of |got - expected| over the sum of |expected|; 0 where both are 0 everywhere."""
    difference, size = np.abs(got - expected, dtype=np.float64).sum(), np.abs(expected, dtype=np.float64).sum()
    return float(difference / size) if difference else 0.0


def rank_correlation(got: Numbers, expected: Numbers) -> float:
    """The mean over rows [N, F] of Spearman's correlation of their shares; 1 where no row has any order.

    Cells that are 0 in both, such as padding, have no rank.
    """
    found = [_spearman(a[used], b[used]) for a, b in zip(got, expected, strict=True) for used in [(a != 0) | (b != 0)]]
    ordered = [each for each in found if each is not None]
    return float(np.mean(ordered)) if ordered else 1.0


def _spearman(a: Numbers, b: Numbers) -> float | None:
    """Spearman's correlation; None where one of both has no order."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
