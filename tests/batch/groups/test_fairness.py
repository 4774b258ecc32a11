"""Figures of fairness from counts, against fairlearn on every row."""

import numpy as np
import pytest
from fairlearn import metrics
from numpy.typing import NDArray
from sklearn.metrics import precision_score

from whyport.batch.groups.fairness import Cells, Disparity, demographic_parity, with_truth

ARRAYS = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def cells_of(truth: NDArray[np.int64], predicted: NDArray[np.int64], groups: NDArray[np.int64], count: int) -> Cells:
    def counted(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(groups[rows], minlength=count)

    true, chosen = truth == 1, predicted == 1
    return Cells(counted(true & chosen), counted(true & ~chosen), counted(~true & chosen), counted(~true & ~chosen))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_figures_from_counts_are_those_of_all_rows(count: int) -> None:
    rng = np.random.default_rng(count)
    groups = rng.integers(0, count, 3000)
    truth = (rng.random(3000) < 0.2 + 0.08 * groups).astype(np.int64)
    predicted = np.where(rng.random(3000) < 0.8, truth, rng.integers(0, 2, 3000))
    cells = cells_of(truth, predicted, groups, count)
    every = {"y_true": truth, "y_pred": predicted, "sensitive_features": groups}
    frame = metrics.MetricFrame(metrics=precision_score, **every)
    expected = {
        "demographic parity": (
            metrics.demographic_parity_difference(**every),
            metrics.demographic_parity_ratio(**every),
        ),
        "equalised odds": (metrics.equalized_odds_difference(**every), metrics.equalized_odds_ratio(**every)),
        "equal opportunity": (metrics.equal_opportunity_difference(**every), metrics.equal_opportunity_ratio(**every)),
        "predictive parity": (frame.difference(), frame.ratio()),
    }
    selected = np.bincount(groups[predicted == 1], minlength=count)
    found = [demographic_parity(selected, np.bincount(groups, minlength=count)), *with_truth(cells)]
    for each in found:
        assert (each.difference, each.ratio) == pytest.approx(expected[each.name], rel=1e-12), each.name
        assert (each.groups, each.left_out) == (count, ())


def test_a_group_without_the_rows_of_a_rate_is_left_out_by_name() -> None:
    #  group 0: both kinds; 1: nobody of the class; 2: nobody predicted, and no other class
    cells = Cells(np.array([3, 0, 0]), np.array([1, 0, 4]), np.array([2, 1, 0]), np.array([2, 3, 0]))
    odds, opportunity, precision = with_truth(cells)
    assert odds == Disparity("equalised odds", None, None, 1, (1, 2))
    assert opportunity == Disparity("equal opportunity", 0.75, 0.0, 2, (1,))
    assert precision == Disparity("predictive parity", 0.6, 0.0, 2, (2,))


def test_a_ratio_of_nothing_is_none() -> None:
    none = np.zeros(2, dtype=np.int64)
    assert demographic_parity(none, np.array([4, 6])) == Disparity("demographic parity", 0.0, None, 2, ())
    every = Cells(np.array([4, 5]), np.array([1, 0]), none, np.array([3, 3]))
    assert with_truth(every)[0] == Disparity("equalised odds", pytest.approx(0.2), None, 2, ())
