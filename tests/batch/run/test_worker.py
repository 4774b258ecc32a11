"""A worker that is rebuilt from a small record, in another process, makes the very same bytes."""

import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.folder import JOB_FILE, SUCCESS_FILE, OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.progress import Progress
from whyport.batch.run.executors import EXECUTORS
from whyport.batch.run.executors.executor import Executor, Outcomes
from whyport.batch.run.executors.where import Where
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.job import Job
from whyport.batch.run.watch import Monitor, Stages
from whyport.batch.run.worker import Order, WorkerSetup
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import JobError

PROGRAM = """
import pickle, sys
from whyport.batch.run.interruption import Interruption
from whyport.batch.progress import Progress
from whyport.batch.run.watch import Monitor, Stages
from whyport.batch.run.worker import Order
setup, orders = pickle.load(sys.stdin.buffer)
worker = setup.build()
for order in orders:
    worker.run(order, Monitor(Stages(), Progress(1000), Interruption()))
"""


@pytest.fixture
def setup(bundle: Path, table: pa.Table, write: Callable[..., Path], tmp_path: Path) -> WorkerSetup:
    """What a finished run was made with."""
    source = write(table.set_column(1, "a", pa.array([None, *table["a"].to_pylist()[1:]])))
    settings = JobSettings(
        (str(source),), tmp_path / "out", ("shapley", "gradient"), keep=("id",), part_rows=300, batch_rows=100,
        explain=ExplainSettings.of(seed=3), device="cpu",
    )  # fmt: skip
    Job(Bundle.read(bundle), settings).run()
    job = JobFile.build(OutputFolder(settings.out, Disk()).read_json(JOB_FILE), settings.out / JOB_FILE)
    return WorkerSetup(bundle, Path.cwd(), settings, job)


def test_another_process_makes_the_same_bytes(setup: WorkerSetup) -> None:
    out = setup.settings.out
    before = {path.relative_to(out): path.read_bytes() for path in OutputFolder(out, Disk()).parts()}
    assert len(before) == 5  # one of the four has a rejected row
    for name in (SUCCESS_FILE, *before):
        (out / name).unlink()
    content = pickle.dumps((setup, [Order(0, tuple(setup.job.spans(0)))]))
    assert len(content) < 10_000
    subprocess.run([sys.executable, "-c", PROGRAM], input=content, check=True)
    after = {path.relative_to(out): path.read_bytes() for path in OutputFolder(out, Disk()).parts()}
    assert after == before


class Elsewhere(Executor):
    """Has each order carried out by a worker that another process builds."""

    def run(self, orders: Iterable[Order]) -> Outcomes:
        for order in orders:
            content = pickle.dumps((self._worker.setup, [order]))
            subprocess.run([sys.executable, "-c", PROGRAM], input=content, check=True)
            yield order, None


def test_a_run_by_another_executor_makes_the_same_bytes(setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXECUTORS, "elsewhere", f"{__name__}:Elsewhere")
    other = dataclasses.replace(setup.settings, out=setup.settings.out.with_name("elsewhere"))
    report = Job(Bundle.read(setup.bundle), other, where=Where("elsewhere")).run()
    assert report.rows_out > 0
    folders = [OutputFolder(settings.out, Disk()) for settings in (setup.settings, other)]
    made = [{path.relative_to(folder.path): path.read_bytes() for path in folder.parts()} for folder in folders]
    assert made[0] == made[1]
    assert len(made[0]) == 5


def test_what_differs_over_there_is_refused(setup: WorkerSetup) -> None:
    other = dataclasses.replace(setup.job, versions=setup.job.versions | {"onnxruntime": "0.1"})
    with pytest.raises(JobError, match="expected the run's own bundle, inputs, versions and provider"):
        dataclasses.replace(setup, job=other).build()


def test_names_are_kept_as_given_wherever_the_work_goes_on(
    bundle: Path, table: pa.Table, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(table, "here/data/one.parquet")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    settings = JobSettings(("data",), Path("out"), part_rows=250, batch_rows=50, device="cpu")
    job = Job(Bundle.read(bundle), settings)
    setup = job._attempt.worker.setup

    def move(done: int, total: int) -> None:
        monkeypatch.chdir(tmp_path / "elsewhere")

    job.run(progress=move)
    folder = tmp_path / "here" / "out"
    before = {path: path.read_bytes() for path in sorted(folder.glob("part-*"))}
    assert len(before) == 4
    assert set(pq.read_table(folder, columns=["source_file"])["source_file"].to_pylist()) == {"data/one.parquet"}
    for path in (folder / SUCCESS_FILE, *before):
        path.unlink()
    worker = setup.build()
    assert Path.cwd() == tmp_path / "elsewhere"
    worker.run(Order(0, tuple(job.plan.spans(0))), Monitor(Stages(), Progress(1000, callback=move), Interruption()))
    assert {path: path.read_bytes() for path in sorted(folder.glob("part-*"))} == before
    assert not list((tmp_path / "elsewhere").iterdir())
