"""Threads of the kernel: all of them work, within the memory budget, and their number changes no bit of the results."""

import threading
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support.forests import random_trees
from support.tree_kernel import shares
from whyport.batch.methods.treeshap import kernel
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import Trees

COLUMNS = np.array([0, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7])
OF_COLUMN = np.array([0, 1, 2, 3, 4, 5, 6, 6])

SIZES = {"tables": (7, 14), "tables and leaves": (3, 4), "leaves": (2, 2)}


def forest(trees: int = 12, raw: int = 2) -> tuple[Trees, NDArray[np.float32], References]:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(700, 8)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    weights = rng.random(30)
    references = References(rng.normal(size=(30, 8)).astype(np.float32), weights / weights.sum())
    return random_trees(rng, trees=trees, depth=9, columns=COLUMNS, raw=raw), rows, references


@pytest.mark.parametrize("by_cover", [False, True], ids=["references", "path-dependent"])
@pytest.mark.parametrize("widest", [False, True], ids=["patterns", "row by row"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_number_of_threads_gives_the_same_bits(
    sizes: tuple[int, int], widest: bool, by_cover: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "SIZES", ((1 << 62, *sizes),))
    monkeypatch.setattr(kernel, "TABLE_VALUES", 1 << 12)
    monkeypatch.setattr(kernel, "PATTERN_ROWS", 300)
    monkeypatch.setattr(kernel, "LEAVES", 16)
    if widest:
        monkeypatch.setattr(kernel, "PATTERN_PLAYERS", 3)
    trees, rows, references = forest()
    for count in (1, 33, 700):
        one, *others = (
            shares(trees, rows[:count], None if by_cover else references, OF_COLUMN, threads=threads)
            for threads in (1, 2, 3)
        )
        for other in others:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("stage", ["build", "look_up", "explain_leaves"])
def test_two_threads_work_at_the_same_time(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one block of rows: the first two calls of a stage wait for each other."""
    sizes = (2, 2) if stage == "explain_leaves" else (7, 14)
    monkeypatch.setattr(kernel, "SIZES", ((1 << 62, *sizes),))
    monkeypatch.setattr(kernel, "LEAVES", 16)
    original, meeting, calls = getattr(kernel, stage), threading.Barrier(2), iter(range(2))

    def met(*given: Any) -> None:
        if next(calls, None) is not None:
            meeting.wait(timeout=30)
        original(*given)

    monkeypatch.setattr(kernel, stage, met)
    trees, rows, references = forest(raw=1)
    shares(trees, rows[:60], references, OF_COLUMN, threads=2)
    assert next(calls, None) is None


@pytest.mark.parametrize("sums", [2, 3, 100])
def test_partial_sums_stay_within_the_memory_budget(sums: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SIZES", ((1 << 62, 2, 2),))
    monkeypatch.setattr(kernel, "LEAVES", 4)
    trees, rows, references = forest(raw=1)
    memory = sums * 8 * 7 * 100
    held: dict[int, int] = {}
    most, rows_seen = 0, set()
    original, lock = kernel.explain_leaves, threading.RLock()

    def noted(*given: Any) -> None:
        nonlocal most
        made = given[-1]
        with lock:
            held[id(made)] = made.nbytes
            weakref.finalize(made, held.pop, id(made))
            most = max(most, sum(held.values()))
            rows_seen.add(made.shape[1])
        original(*given)

    monkeypatch.setattr(kernel, "explain_leaves", noted)
    shares(trees, rows[:200], references, OF_COLUMN, threads=3, memory=memory)
    assert most <= memory
    assert max(rows_seen) == min(200, sums * 100 // 2)
