"""Workers publish only while their run stands: nothing is published late, whatever slept meanwhile."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import whyport
from whyport.batch.output import fence as module
from whyport.batch.output.fence import Fence, FencedDisk, new_fence, take_down_all
from whyport.batch.run.executors.remote import Done, RemoteWorker
from whyport.batch.run.job import Job
from whyport.batch.run.worker import Order, Worker
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import write_whole
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import InterruptedJobError, JobError


def test_a_file_is_published_only_while_the_fence_is_up(tmp_path: Path) -> None:
    fence = new_fence(tmp_path)
    disk = FencedDisk(fence)
    write_whole(disk, tmp_path / "a", b"1")
    fence.stop()
    assert fence.is_up
    assert fence.is_stopping
    write_whole(disk, tmp_path / "b", b"2")
    fence.take_down()
    fence.take_down()
    assert not fence.is_up
    assert fence.is_stopping
    with pytest.raises(JobError, match=f"^expected the run that gave the order, got none: .*, in {tmp_path}$"):
        write_whole(disk, tmp_path / "c", b"3")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_each_attempt_has_a_fence_of_its_own(tmp_path: Path) -> None:
    fences = [new_fence(tmp_path) for _ in range(3)]
    fences[0].take_down()
    assert [fence.is_up for fence in fences] == [False, True, True]
    take_down_all(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_being_published_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fence = new_fence(tmp_path)
    taken_down = threading.Event()

    def take_down() -> None:
        fence.take_down()
        taken_down.set()

    with fence.passed():
        thread = threading.Thread(target=take_down)
        thread.start()
        assert not taken_down.wait(0.3)
        assert fence.is_up
    thread.join()
    assert not fence.is_up
    other = new_fence(tmp_path)
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with other.passed(), pytest.raises(JobError, match="expected the worker that publishes a part to end within 0 s"):
        other.take_down()


def _sleep_in_a_part(setup: bytes, fence: Fence, order: Order, after: int) -> None:
    """Make an order's parts, and stop the process once so many rows of them are done."""
    advance = RemoteWorker.__init__.__globals__["_AtFence"].advance
    done = 0

    def stop(self: object, rows: int) -> None:
        nonlocal done
        done += rows
        if done == after:
            os.kill(os.getpid(), signal.SIGSTOP)
        advance(self, rows)

    RemoteWorker.__init__.__globals__["_AtFence"].advance = stop
    RemoteWorker(setup, fence).run(order)


@pytest.mark.parametrize("after", [150, 400])
def test_a_worker_that_sleeps_across_success_publishes_nothing(
    after: int, bundle: Path, table: pa.Table, write: Callable[..., Path], tmp_path: Path
) -> None:
    """At 150 in the middle of the first part; at 400 with every row of the second one scored."""
    out, source = tmp_path / "out", write(table)
    options = {"part_rows": 200, "batch_rows": 50, "device": "cpu"}
    job = Job(Bundle.read(bundle), JobSettings((str(source),), out, **options))  # type: ignore[arg-type]
    out.mkdir()
    worker: Worker = job._attempt.worker
    fence = new_fence(out)
    order = Order(0, tuple(job.plan.spans(0)))
    arguments = (pickle.dumps(worker.setup), fence, order, after)
    sleeper = multiprocessing.get_context("spawn").Process(target=_sleep_in_a_part, args=arguments)
    sleeper.start()
    assert sleeper.pid is not None
    while "T" not in Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[0]:
        time.sleep(0.02)
    assert len(list(out.glob("part-*"))) == (after - 1) // 200
    (out / "_job.json").write_text("{}")
    whyport.run(bundle, source, out, overwrite=True, **options)  # type: ignore[arg-type]
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.glob("part-*")}
    assert (out / "_SUCCESS").exists()
    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join()
    after_it = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.glob("part-*")}
    assert after_it == before
    assert not list(out.glob(".*"))
    whyport.audit(out)


def test_a_worker_stops_between_parts_or_at_once(
    bundle: Path, table: pa.Table, write: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    settings = JobSettings((str(write(table)),), out, part_rows=200, batch_rows=50, device="cpu")
    job = Job(Bundle.read(bundle), settings)
    out.mkdir()
    fence = new_fence(out)
    worker = RemoteWorker(pickle.dumps(job._attempt.worker.setup), fence)
    first, second, *_ = job.plan.spans(0)
    done = worker.run(Order(0, (first,)))
    assert (done.rows, done.error) == (200, None)
    assert {"read", "write"} <= done.seconds.keys()
    fence.stop()
    stopped: Done = worker.run(Order(0, (second,)))
    assert isinstance(stopped.error, InterruptedJobError)
    assert stopped.rows == 0
    fence.take_down()
    assert isinstance(worker.run(Order(0, (second,))).error, InterruptedJobError)
    assert [path.name for path in out.iterdir()] == [first.name]
