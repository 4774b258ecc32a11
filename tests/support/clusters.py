"""Runs on clusters: their inputs, what they must leave, and what is killed meanwhile."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import whyport

if TYPE_CHECKING:
    import psutil

FILES, ROWS = 3, 600
OPTIONS: dict[str, Any] = {"explain": "gradient", "keep": "id", "part_rows": 50, "batch_rows": 50, "device": "cpu"}
"""Thirty-seven parts, one of them of rejected rows."""


def write_rows(bundle: Path, path: Path, rows: int, seed: int) -> None:
    """Write rows of a bundle's features; of seed 0, row 7 lacks a value."""
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {"id": [f"{seed}-{i}" for i in range(rows)]}
    for feature in whyport.Bundle.read(bundle).sidecar.features:
        columns[feature.name] = generator.normal(1.0, 1.0, rows)
    if not seed:
        columns[feature.name][7] = np.nan
    pq.write_table(pa.table(columns), path, row_group_size=250)


def contents(out: Path) -> dict[str, bytes]:
    """Every part by its name."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("part*.parquet"))}


def check_whole(out: Path, expected: dict[str, bytes]) -> None:
    """Assert that a finished run has these very parts, and nothing else."""
    assert contents(out) == expected
    names = {path.name for path in out.iterdir() if not path.name.startswith("part-")}
    assert names == {"_SUCCESS", "_job.json", "_report.json", "_rejected"}
    rejected = {path.name for path in (out / "_rejected").iterdir()}
    assert rejected == {name.split("/")[1] for name in expected if "/" in name}


def processes(word: str) -> "list[psutil.Process]":
    """The processes below this one that have a word in their command line, or in their title."""
    import psutil  # in the environment of engines alone

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            pass
    return found


def once(after: int, act: Callable[[], None]) -> Callable[[int, int], None]:
    """A progress callback that does something once, when more than so many rows are done."""
    is_done = False

    def progress(done: int, total: int) -> None:
        nonlocal is_done
        if done > after and not is_done:
            is_done = True
            act()

    return progress


def moments(count: int, seed: int) -> list[int]:
    """Numbers of rows after which something is killed."""
    return random.Random(seed).sample(range(FILES * ROWS * 3 // 4), count)
