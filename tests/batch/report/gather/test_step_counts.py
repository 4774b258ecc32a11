"""The numbers of steps of rows of varying length, counted; padding is no value."""

import numpy as np

from whyport.batch.report.gather.drift import BinCounts
from whyport.batch.report.gather.step_counts import StepCounts
from whyport.runtime.bundle.lengths import Length

LENGTH = Length("visits", 6, 0, 3, 2, (3,), is_masked=True)
NAN = np.nan
ROWS = np.array(
    [
        [1, 10, 0, 0, 0, 0, 1, 7],
        [1, NAN, 2, 20, 0, 0, 2, 7],
        [1, 10, 2, 20, 3, 30, 3, 7],
        [NAN, NAN, NAN, NAN, NAN, NAN, NAN, 7],
        [1, 10, 2, 20, 3, 30, 3, NAN],
    ]
)
"""Rows of 1, 2 and 3 steps, one without a list, and a column beside them."""


def test_steps_are_counted_by_row() -> None:
    steps = StepCounts([LENGTH])
    steps.add(ROWS[:2])
    steps.add(ROWS[2:])
    np.testing.assert_array_equal(steps.counts[0], [0, 1, 1, 2])
    assert list(steps.lines()) == [("visits", "4", "1", "1", "2", "3", "3", "2.2")]
    assert list(StepCounts([LENGTH]).lines()) == []


def test_padding_is_neither_a_value_nor_a_missing_one() -> None:
    edges = [np.array([1.5, 2.5]), np.array([15.0]), np.array([5.0])]
    counts = BinCounts(edges, places=[(0, 2, 4), (1, 3, 5), (7,)], lengths=[LENGTH])
    counts.add(ROWS)
    np.testing.assert_array_equal(counts.counts, [[4, 3, 2], [3, 5, 0], [0, 4, 0]])
    np.testing.assert_array_equal(counts.missing, [3, 4, 1])
