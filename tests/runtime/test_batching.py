"""Rows in batches, and items that several threads take from one queue."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from whyport.runtime.batching import batch_slices, taken


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (1, [1]), (4, [4]), (9, [4, 4, 1])])
def test_slices_cover_the_rows_in_order(rows: int, sizes: list[int]) -> None:
    slices = list(batch_slices(rows, 4))
    assert [s.stop - s.start for s in slices] == sizes
    assert [i for s in slices for i in range(s.start, s.stop)] == list(range(rows))


def test_every_item_is_taken_once_by_whichever_thread() -> None:
    waiting = deque(range(10_000))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: list(taken(waiting)), range(4)))
    assert sorted(item for items in found for item in items) == list(range(10_000))
    assert all(items == sorted(items) for items in found)
