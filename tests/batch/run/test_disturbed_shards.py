"""Shards that are killed, stopped, or run twice at once: the same bytes, nothing beside them, and nothing late."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from kills import disturb
from ways import WAYS, WHYPORT, contents
from whyport.runtime.errors import JobError

OPTIONS: dict[str, Any] = {"batch_rows": 4, "part_rows": 4, "explain": "gradient", "threads": 1}
SECONDS = 120
"""The longest that another process is waited for."""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty rows, one of which is rejected."""
    columns = dict(zip("abc", np.random.default_rng(5).normal(size=(3, 40)), strict=True))
    columns["b"][17] = np.nan
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def whole(bundle: Path, rows: Path, tmp_path: Path) -> dict[str, Any]:
    """The files of an undisturbed run."""
    whyport.run(bundle, rows, tmp_path / "whole", **OPTIONS)
    return contents(tmp_path / "whole")


@pytest.fixture(scope="module")
def command(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A run of so many small parts that a second passes over them."""
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(pa.table(dict(zip("abc", np.random.default_rng(5).normal(size=(3, 4000)), strict=True))), path)
    return (*WHYPORT, "run", str(bundle), str(path), "--threads", "1", "--batch-rows", "8", "--part-rows", "8")


@pytest.fixture(scope="module")
def undisturbed(command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of a run of that command."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    subprocess.run([*command, "--out", out], check=True, capture_output=True)
    return contents(out)


@pytest.mark.parametrize("seed", range(3))
def test_a_shard_killed_at_a_random_moment_changes_no_byte(
    command: tuple[str, ...], undisturbed: dict[str, Any], tmp_path: Path, seed: int
) -> None:
    outcome = disturb(WAYS["shards"], command, tmp_path / "out", undisturbed, random.Random(seed))
    assert not outcome.wrong


def shard_in_step(bundle: Path, rows: Path, out: Path, barrier: Barrier) -> None:
    """A shard that waits for another one after every batch, from before its first part."""
    report = whyport.run_shard(bundle, rows, out, "1/1", progress=lambda *_: barrier.wait(SECONDS), **OPTIONS)
    assert (report.parts, report.performance.resumed_parts) == (10, 0)


def test_every_order_carried_out_twice_at_once(bundle: Path, rows: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    out, context = tmp_path / "out", multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    shards = [context.Process(target=shard_in_step, args=(bundle, rows, out, barrier)) for _ in range(2)]
    for shard in shards:
        shard.start()
    for shard in shards:
        shard.join()
    assert [shard.exitcode for shard in shards] == [0, 0]
    whyport.run(bundle, rows, out, finish_only=True, **OPTIONS)
    assert contents(out) == whole


STOPPED = """
import os, signal, sys
import whyport
from whyport.batch.store.local import Disk
call, calls = getattr(Disk, sys.argv[1]), 0
def stop(*arguments):
    global calls
    calls += 1
    if calls == 4:
        os.kill(os.getpid(), signal.SIGSTOP)
    return call(*arguments)
setattr(Disk, sys.argv[1], stop)
try:
    whyport.run_shard(*sys.argv[2:5], "1/1", **eval(sys.argv[5]))
except whyport.JobError as error:
    sys.exit(f"refused: {error}")
"""
"""A shard that stops itself before the fourth call of one of the disk's methods, in the middle of publishing a part."""

Stopped = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def stopped(bundle: Path, rows: Path, tmp_path: Path) -> Iterator[Stopped]:
    """Start a shard, and return when it has stopped in a method of the disk."""
    started: list[subprocess.Popen[str]] = []

    def start(method: str) -> subprocess.Popen[str]:
        arguments = [method, str(bundle), str(rows), str(tmp_path / "out"), repr(OPTIONS)]
        shard = subprocess.Popen([sys.executable, "-c", STOPPED, *arguments], stderr=subprocess.PIPE, text=True)
        started.append(shard)
        state = os.waitid(os.P_PID, shard.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert state is not None
        assert state.si_code == os.CLD_STOPPED, shard.communicate()
        return shard

    yield start
    for shard in started:
        shard.kill()
        shard.communicate()


def go_on(shard: subprocess.Popen[str]) -> tuple[int, str]:
    """Have a stopped shard go on to its end; returns the exit code and the errors."""
    shard.send_signal(signal.SIGCONT)
    _, errors = shard.communicate(timeout=SECONDS)
    return shard.returncode, errors


def published(out: Path) -> dict[Path, tuple[int, int]]:
    """What is published: each file, and when it was."""
    found = {path: path.stat() for path in out.rglob("*") if not path.name.startswith(".")}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items() if not path.is_dir()}


@pytest.mark.parametrize("method", ["sync", "rename"])
def test_a_job_is_not_finished_while_a_shard_is_stopped(
    bundle: Path, rows: Path, whole: dict[str, Any], tmp_path: Path, stopped: Stopped, method: str
) -> None:
    out = tmp_path / "out"
    shard = stopped(method)
    with pytest.raises(JobError, match="another run writes to"):
        whyport.run(bundle, rows, out, **OPTIONS)
    assert go_on(shard) == (0, "")
    whyport.run(bundle, rows, out, finish_only=True, **OPTIONS)
    assert contents(out) == whole


@pytest.mark.parametrize("method", ["sync", "rename"])
def test_nothing_is_published_once_others_have_finished_a_job_whose_lock_was_lost(
    bundle: Path, rows: Path, whole: dict[str, Any], tmp_path: Path, stopped: Stopped, method: str
) -> None:
    """Only the one file whose name is being given at that moment may be replaced, by the same bytes."""
    out = tmp_path / "out"
    shard = stopped(method)
    (out / "_lock").unlink()
    whyport.run(bundle, rows, out, **OPTIONS)
    before = published(out)
    code, errors = go_on(shard)
    assert code == 1
    assert errors.startswith("refused: expected a job at work, got one that others have finished meanwhile, in ")
    changed = {path for path, when in published(out).items() if before[path] != when}
    assert len(changed) == (method == "rename")
    assert contents(out) == whole
    whyport.audit(out)


def test_a_shard_that_wakes_up_in_another_job_publishes_nothing(
    bundle: Path, rows: Path, tmp_path: Path, stopped: Stopped
) -> None:
    out, other = tmp_path / "out", OPTIONS | {"explain": "input-x-gradient"}
    shard = stopped("sync")
    (out / "_lock").unlink()
    whyport.run(bundle, rows, out, overwrite=True, **other)
    before = published(out)
    code, errors = go_on(shard)
    assert (code, errors.startswith("refused: ")) == (1, True)
    assert published(out) == before
    whyport.run(bundle, rows, tmp_path / "other", **other)
    assert contents(out) == contents(tmp_path / "other")
