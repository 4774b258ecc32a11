"""Workers that write to a store: nothing is put there once their run has ended."""

import pickle
import secrets
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import whyport
from whyport.batch.output import store_fence
from whyport.batch.output.fence import Fence, new_fence, take_down_all
from whyport.batch.run.executors.remote import RemoteWorker
from whyport.batch.run.job import Job
from whyport.batch.run.worker import Order, Worker
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import InterruptedJobError, JobError
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> StorePath:
    monkeypatch.setattr(store_fence, "LOOKED_SECONDS", 0.0)
    return StorePath(f"memory://{secrets.token_hex(4)}/out")


@pytest.fixture
def job(out: StorePath, bundle: Path, table: pa.Table, write: Callable[..., Path]) -> Job:
    settings = JobSettings((str(write(table)),), out, part_rows=200, batch_rows=50, device="cpu")
    return Job(Bundle.read(bundle), settings)


def remote(job: Job, fence: Fence) -> RemoteWorker:
    """A worker as another process has it: of what was pickled."""
    worker: Worker = job._attempt.worker
    return RemoteWorker(pickle.dumps(worker.setup), pickle.loads(pickle.dumps(fence)))


def names(out: StorePath) -> list[str]:
    return sorted(path.name for path, _ in out.walk_files())


def test_each_attempt_has_a_fence_of_its_own(out: StorePath) -> None:
    fences = [new_fence(out) for _ in range(3)]
    fences[0].take_down()
    fences[0].take_down()
    assert [fence.is_up for fence in fences] == [False, True, True]
    fences[1].stop()
    assert [fence.is_stopping for fence in fences] == [True, True, False]
    assert fences[1].is_up
    take_down_all(out)
    assert not out.exists()


def test_a_worker_publishes_only_while_the_fence_is_up(out: StorePath, job: Job) -> None:
    fence = new_fence(out)
    worker = remote(job, fence)
    first, second, third, *_ = job.plan.spans(0)
    done = worker.run(Order(0, (first,)))
    assert (done.rows, done.error) == (200, None)
    fence.stop()
    assert isinstance(worker.run(Order(0, (second,))).error, InterruptedJobError)
    fence.take_down()
    assert isinstance(worker.run(Order(0, (third,))).error, InterruptedJobError)
    assert names(out) == [first.name]
    with pytest.raises(JobError, match=r"expected the run's output folder, which all workers share, got another one"):
        remote(job, fence)


def test_a_part_that_is_ready_when_the_run_ends_is_not_published(
    out: StorePath, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = new_fence(out)
    worker = remote(job, fence)
    put_new = client.put_new
    monkeypatch.setattr(
        "whyport.batch.store.objects.WholeObject.finish", lambda self: (self.stream.close(), fence.take_down())
    )
    monkeypatch.setattr(client, "put_new", lambda *_: pytest.fail("it was published"))
    done = worker.run(Order(0, tuple(job.plan.spans(0)[:1])))
    assert isinstance(done.error, JobError)
    assert "nothing is published" in str(done.error)
    monkeypatch.setattr(client, "put_new", put_new)
    assert not out.exists()


def test_two_workers_at_the_same_order_make_one_part_each(out: StorePath, job: Job, tmp_path: Path) -> None:
    fence = new_fence(out)
    spans = tuple(job.plan.spans(0))
    for worker in (remote(job, fence), remote(job, fence)):
        assert worker.run(Order(0, spans)).error is None
    fence.take_down()
    settings = job.plan.settings
    whyport.run(
        job._attempt.worker.setup.bundle, settings.inputs, tmp_path / "here", part_rows=200, batch_rows=50, device="cpu"
    )
    for span in spans:
        assert (out / span.name).read_bytes() == (tmp_path / "here" / span.name).read_bytes()
