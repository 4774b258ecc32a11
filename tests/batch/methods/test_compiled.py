"""Compiled kernels on the disk: a place that costs time where it fails, and nothing else."""

import errno
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import IndexDataCacheFile

from whyport.batch.methods import compiled as module
from whyport.batch.methods.compiled import compiler

compiled = compiler()


def twice(x: int) -> int:
    return 2 * x


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    return tmp_path


def test_compiled_code_is_kept(place: Path) -> None:
    assert compiled(twice)(21) == 42
    assert list(place.rglob("*.nbi"))
    again = compiled(twice)
    assert again(21) == 42
    assert sum(again.stats.cache_hits.values()) == 1


@pytest.mark.parametrize(
    ("method", "number"), [("save", errno.ENOSPC), ("load", errno.EIO), ("_save_data", errno.EROFS)]
)
def test_a_disk_that_fails_costs_only_time(
    place: Path, monkeypatch: pytest.MonkeyPatch, method: str, number: int
) -> None:
    assert compiled(twice)(21) == 42

    def fail(*_: Any) -> None:
        raise OSError(number, "the disk")

    monkeypatch.setattr(IndexDataCacheFile, method, fail)
    assert compiled(twice)(21.5) == 43
    assert compiled(twice)(21) == 42


def test_kernels_need_no_place_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nowhere(function: Any) -> Any:
        asked.append(function)
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(module, "_SpareCache", nowhere)
    assert compiler("nsz")(twice)(2) == 4
    assert asked == [twice]
