"""Rows per call, rows in batches, and items that several threads take from one queue."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from whyport.runtime.batching import ROW_VALUES_KEY, batch_slices, rows_per_call, suitable_rows, taken


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


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        *[(0, 4096), (1, 4096), (512, 4096), (513, 2048), (4260, 256), (8192, 256), (8193, 128)],
        *[(262_144, 128), (262_145, 64), (7_249_780, 4), (10**9, 1)],
    ],
)
def test_a_call_of_a_graph_that_computes_more_takes_fewer_rows(values: int, rows: int) -> None:
    assert suitable_rows("cpu", {ROW_VALUES_KEY: str(values)}) == rows


@pytest.mark.parametrize("said", ["", "-1", "many", "1e9", "9" * 19, "9" * 5000])
def test_a_graph_that_says_no_number(said: str) -> None:
    assert suitable_rows("cpu", {ROW_VALUES_KEY: said}) == 512


@pytest.mark.parametrize("properties", [{}, {ROW_VALUES_KEY: ""}, {ROW_VALUES_KEY: "-1"}, {ROW_VALUES_KEY: "many"}])
def test_a_graph_that_does_not_say_how_much_it_computes(properties: dict[str, str]) -> None:
    assert suitable_rows("cpu", properties) == 512


def test_a_card_takes_many_rows_of_any_graph() -> None:
    assert suitable_rows("cuda", {ROW_VALUES_KEY: "1000000"}) == 16384


@pytest.mark.parametrize(
    ("features", "rows"), [(1, 64), (32, 64), (33, 62), (100, 20), (1000, 2), (2048, 1), (5000, 1)]
)
def test_a_call_that_explains_wider_rows_takes_fewer_of_them(features: int, rows: int) -> None:
    assert rows_per_call(features) == {"cpu": rows, "cuda": 16 * rows}
