"""Rows of varying length are cut, repeated and grouped by their number of steps."""

import numpy as np

from whyport.runtime.bundle.lengths import Length, full_length, of_length, padding, same_lengths

TWO = (
    Length("a", place=3, start=0, steps=3, width=1, buckets=(3,), is_masked=True),
    Length("b", place=8, start=4, steps=2, width=2, buckets=(1, 2), is_masked=True),
)
ROWS = np.array([[1, 2, 0, 2, 5, 6, 7, 8, 2, 9], [1, 0, 0, 1, 5, 6, 0, 0, 1, 9]], dtype=np.float32)
"""Three steps of one value, two steps of two, and a column beside them."""


def test_cells_beyond_the_last_step_are_padding() -> None:
    found = padding(TWO, ROWS)
    assert np.flatnonzero(found[0]).tolist() == [2]
    assert np.flatnonzero(found[1]).tolist() == [1, 2, 6, 7]


def test_a_row_is_cut_or_repeated_from_its_first_step() -> None:
    assert of_length(TWO, ROWS, (3, 1)).tolist() == [
        [1, 2, 1, 3, 5, 6, 0, 0, 1, 9],
        [1, 1, 1, 3, 5, 6, 0, 0, 1, 9],
    ]
    assert full_length(TWO, ROWS)[1].tolist() == [1, 1, 1, 3, 5, 6, 5, 6, 2, 9]


def test_rows_are_grouped_by_every_length() -> None:
    rows = ROWS[[1, 0, 1]]
    groups = [(steps.tolist(), own.tolist()) for steps, own in same_lengths(TWO, rows)]
    assert groups == [([1.0, 1.0], [0, 2]), ([2.0, 2.0], [1])]
