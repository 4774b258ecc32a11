import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from whyport.batch.output.layouts import strongest

# Few distinct values, so that most rows have ties.
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 1e-30, math.inf, -math.inf, math.nan])


def oracle(row: list[float], count: int) -> list[int]:
    """By a stable sort."""
    return sorted(range(len(row)), key=lambda i: math.inf if math.isnan(row[i]) else -abs(row[i]))[:count]


@given(st.data())
def test_the_strongest_come_first_and_of_equals_the_first(data: st.DataObject) -> None:
    width, rows = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 5))
    count = data.draw(st.integers(1, width))
    table = data.draw(st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=rows, max_size=rows))
    values = np.array(table, dtype=np.float32).reshape(rows, width)
    before = values.copy()
    assert strongest(values, count).tolist() == [oracle(row, count) for row in table]
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("count", [1, 10, 999, 1000])
def test_many_features(count: int) -> None:
    values: NDArray[np.float32] = np.random.default_rng(0).normal(size=(50, 1000)).astype(np.float32).round(1)
    assert strongest(values, count).tolist() == [oracle(row, count) for row in values.tolist()]
