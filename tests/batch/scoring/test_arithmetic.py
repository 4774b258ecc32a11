"""Another machine's arithmetic: seen in a few rows, refused on a resume, or recorded part by part."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from support.engines import OF_NETWORKS
from support.interruptions import StopAfter
from whyport.batch.output.folder import JOB_FILE
from whyport.batch.output.job_file import FORMAT_VERSION
from whyport.batch.output.parts import PartFooter
from whyport.batch.run.job import Job
from whyport.batch.run.worker import Worker
from whyport.batch.scoring import arithmetic
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, InterruptedJobError, JobError, UsageError

OTHER = {"outputs": "0123456789abcdef", "gradient": "fedcba9876543210"}


@pytest.fixture
def settings(table: pa.Table, write: Callable[..., Path], tmp_path: Path) -> JobSettings:
    """A run of four parts."""
    return JobSettings(
        (str(write(table)),), tmp_path / "out", ("gradient",), batch_rows=50, part_rows=250, device="cpu"
    )


def stopped(bundle: Path, settings: JobSettings) -> dict[str, Any]:
    """A run that was stopped after two parts; returns its description."""
    with pytest.raises(InterruptedJobError):
        Job(Bundle.read(bundle), settings).run(StopAfter(2))
    return document(settings.out)


def document(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / JOB_FILE).read_text())
    return found


def made_by(out: Path) -> list[dict[str, str]]:
    return [PartFooter.read(path).arithmetic for path in sorted(out.glob("part-*.parquet"))]


def test_a_resume_by_another_arithmetic_is_refused_or_recorded(
    bundle: Path, settings: JobSettings, monkeypatch: pytest.MonkeyPatch, whyport: Whyport
) -> None:
    (own,) = stopped(bundle, settings)["arithmetic"]
    assert set(own) == {"outputs", "gradient"}
    before = {path: path.read_bytes() for path in settings.out.iterdir()}
    monkeypatch.setattr(Worker, "arithmetic", OTHER | {"outputs": own["outputs"]})
    match = r"holds parts of another arithmetic: the last bits of gradient differ here .*--any-arithmetic goes on"
    for act in (Job.run, Job.lines):
        with pytest.raises(UsageError, match=match):
            act(Job(Bundle.read(bundle), settings))
    assert {path: path.read_bytes() for path in settings.out.iterdir()} == before
    any_one = dataclasses.replace(settings, any_arithmetic=True)
    Job(Bundle.read(bundle), any_one).run()
    theirs = OTHER | {"outputs": own["outputs"]}
    assert document(settings.out)["arithmetic"] == [own, theirs]
    assert made_by(settings.out) == [own, own, theirs, theirs]
    whyport("audit", settings.out)
    # A finished run is only read, by whatever machine.
    monkeypatch.setattr(Worker, "arithmetic", {"outputs": "third"})
    assert Job(Bundle.read(bundle), settings).run().rows_out == 1000


def test_a_part_of_an_arithmetic_that_nobody_recorded_fails_the_audit(
    bundle: Path, settings: JobSettings, whyport: Whyport
) -> None:
    Job(Bundle.read(bundle), settings).run()
    job = document(settings.out)
    (settings.out / JOB_FILE).write_text(json.dumps(job | {"arithmetic": [OTHER]}))
    with pytest.raises(AuditError, match="expected one of the run's arithmetics, got "):
        raise AuditError(whyport("audit", settings.out, exit_code=1).output)
    # Runs of the version before recorded none.
    old = {name: value for name, value in job.items() if name != "arithmetic"} | {"format_version": 2}
    (settings.out / JOB_FILE).write_text(json.dumps(old))
    whyport("audit", settings.out)
    with pytest.raises(UsageError, match=rf"holds another job(.|\n)*format_version: 2 there, {FORMAT_VERSION} here"):
        Job(Bundle.read(bundle), settings).run()


def test_a_worker_of_another_arithmetic_is_refused(
    bundle: Path, settings: JobSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Job(Bundle.read(bundle), settings)._attempt.worker.setup
    assert setup.build().arithmetic == setup.job.arithmetic[0]
    monkeypatch.setattr(Worker, "arithmetic", OTHER)
    with pytest.raises(JobError, match="expected the run's arithmetic where it is to run: the last bits of outputs"):
        setup.build()
    allowed = dataclasses.replace(setup, settings=dataclasses.replace(settings, any_arithmetic=True))
    assert allowed.build().arithmetic == OTHER


def test_every_method_has_a_digest_that_a_last_bit_changes(
    mapped_bundle: Path, settings: JobSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = OF_NETWORKS
    every = dataclasses.replace(settings, methods=methods)
    one, two = (Job(Bundle.read(mapped_bundle), every)._attempt.worker for _ in range(2))
    assert one.arithmetic == two.arithmetic
    assert list(one.arithmetic) == ["outputs", *methods]
    session, explainers = two._session, two._scorer.explainers
    for name, ready in explainers.items():
        explainer = ready.explainer
        attribute = explainer.attribute

        def nudged(request: Any, attribute: Callable[..., Any] = attribute) -> Any:
            shares = attribute(request)
            values = shares.values.copy()
            values[-1, -1] = np.nextafter(values[-1, -1], np.float32(9))
            return dataclasses.replace(shares, values=values)

        monkeypatch.setattr(explainer, "attribute", nudged)
        found = arithmetic.arithmetic_of(session, explainers)
        assert [key for key in found if found[key] != one.arithmetic[key]] == [name]
        monkeypatch.undo()


PROGRAM = """
import sys
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from pathlib import Path
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError
settings = JobSettings((sys.argv[2],), Path(sys.argv[3]), ("gradient",), part_rows=8, batch_rows=8, device="cpu")
try:
    Job(Bundle.read(sys.argv[1]), settings).run()
except UsageError as error:
    print(error)
"""


def test_the_plainest_kernels_of_pytorch_are_another_arithmetic(
    reference_bundle: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    read = Bundle.read(reference_bundle)
    rows = {feature.name: np.full(16, feature.statistics.mean) for feature in read.sidecar.columns}
    source, out = write(pa.table(rows)), tmp_path / "out"
    settings = JobSettings((str(source),), out, ("gradient",), part_rows=8, batch_rows=8, device="cpu")
    with pytest.raises(InterruptedJobError):
        Job(read, settings).run(StopAfter(1))
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    arguments = [sys.executable, "-c", PROGRAM, str(reference_bundle), str(source), str(out)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    if not done.stdout:
        pytest.skip("on this machine the plainest kernels give the same bits")
    assert "holds parts of another arithmetic: the last bits of gradient differ here" in done.stdout
    assert len(list(out.glob("part-*.parquet"))) == 1
    assert pq.read_metadata(next(out.glob("part-*.parquet"))).num_rows == 8
