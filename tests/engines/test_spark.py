"""Spark: the very same parts as this process makes, whatever becomes of its workers."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import whyport
from support.clusters import (
    FILES,
    OPTIONS,
    ROWS,
    check_bad_file_told,
    check_other_versions_refused,
    check_resumed_elsewhere,
    check_whole,
    contents,
    moments,
    once,
    processes,
    spark_session,
)
from support.every_method import METHODS_OF, options_of, write_rows
from support.killed_runs import run_and_kill
from support.pages import ROOT, blocks
from whyport.batch.run.executors import spark as executor
from whyport.batch.run.executors.remote import Done, own_name
from whyport.batch.run.worker import Order
from whyport.executors import spark as on_spark
from whyport.runtime.errors import JobError, ParityError, UsageError

# Spark leaves sockets and files open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

COMMAND = Path(sys.executable).with_name("whyport")
KILLS = 3


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    session = spark_session()
    yield session
    session.stop()


def test_two_executors_make_the_same_parts(
    session: SparkSession, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    report = on_spark.run(
        session, reference_bundle, inputs, out, progress=lambda *rows: seen.append(rows), **OPTIONS
    )  # fmt: skip
    check_whole(out, here)
    whyport.audit(out)
    workers = report.performance.workers
    assert workers is not None
    assert sum(workers.orders.values()) == workers.attempts > 8
    assert workers.lost == ()
    assert seen[0] == (0, FILES * ROWS)
    assert seen[-1] == (FILES * ROWS, FILES * ROWS)
    assert seen == sorted(seen)
    assert len(seen) > 4
    assert {"read", "explain", "write", "total"} <= report.performance.seconds.keys()


def test_two_jobs_in_one_session_leave_two_whole_folders(
    session: SparkSession, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    """The second by the active session, from another working folder and by relative paths."""
    on_spark.run(session, reference_bundle, inputs, tmp_path / "one", **OPTIONS)
    other = OPTIONS | {"explain": ("gradient", "input-x-gradient"), "part_rows": 100}
    whyport.run(reference_bundle, inputs, tmp_path / "two", on="spark", **other)
    whyport.run(reference_bundle, inputs, tmp_path / "local", **other)
    check_whole(tmp_path / "one", here)
    check_whole(tmp_path / "two", contents(tmp_path / "local"))


def test_relative_paths_lead_where_the_run_began(
    session: SparkSession, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(inputs)
    on_spark.run(session, reference_bundle, "data", "out", **OPTIONS)
    whyport.run(reference_bundle, "data", "local", **OPTIONS)
    check_whole(Path("out"), contents(Path("local")))
    assert set(pq.read_table("out", columns=["source_file"])["source_file"].to_pylist()) == {
        f"data/{i}.parquet" for i in range(FILES)
    }


@pytest.mark.parametrize("fixture", METHODS_OF)
def test_every_method(fixture: str, session: SparkSession, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Path = request.getfixturevalue(fixture)
    is_of_pictures = fixture == "image_bundle"
    rows = request.getfixturevalue("image_rows") if is_of_pictures else write_rows(bundle, tmp_path / "rows.parquet")
    for on in ("local", "spark"):
        whyport.run(bundle, rows, tmp_path / on, explain=METHODS_OF[fixture], on=on, **options_of(fixture))
    assert contents(tmp_path / "spark") == contents(tmp_path / "local")


def python_workers() -> list[psutil.Process]:
    """Those that carry out tasks: the children of the daemons."""
    daemons = processes("pyspark.daemon")
    known = {process.pid for process in daemons}
    return [process for process in daemons if process.ppid() in known]


def kill_one(find: Callable[[], list[psutil.Process]]) -> None:
    found = find()
    if found:
        random.Random(time.time_ns()).choice(found).kill()


@pytest.mark.parametrize("after", moments(KILLS, 4))
def test_a_killed_python_worker_loses_nothing(
    after: int, session: SparkSession, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    progress = once(after, lambda: kill_one(python_workers))
    on_spark.run(session, reference_bundle, inputs, tmp_path / "out", progress=progress, **OPTIONS)
    check_whole(tmp_path / "out", here)


@pytest.mark.parametrize("after", moments(KILLS, 5))
def test_a_killed_executor_loses_nothing(
    after: int, session: SparkSession, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    progress = once(after, lambda: kill_one(lambda: processes("CoarseGrainedExecutorBackend")))
    on_spark.run(session, reference_bundle, inputs, tmp_path / "out", progress=progress, **OPTIONS)
    check_whole(tmp_path / "out", here)


@pytest.mark.parametrize("after", moments(KILLS, 6))
def test_a_killed_driver_leaves_what_any_executor_resumes(
    after: int, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_and_kill("run", after, reference_bundle, inputs, out, on="spark", **OPTIONS)
    assert 0 < len(contents(out)) <= len(here)
    report = whyport.run(reference_bundle, inputs, out, **OPTIONS)
    check_whole(out, here)
    assert report.performance.resumed_parts > 0


def test_an_interrupted_run_is_resumed_by_another_executor(
    session: SparkSession, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    check_resumed_elsewhere("spark", reference_bundle, inputs, here, tmp_path)


def test_every_order_twice_at_once(
    session: SparkSession,
    reference_bundle: Path,
    inputs: Path,
    here: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = executor.pieces
    monkeypatch.setattr(
        executor, "pieces", lambda *given: [order for order in small(*given) for _ in range(2)]
    )  # fmt: skip
    on_spark.run(session, reference_bundle, inputs, tmp_path / "out", **OPTIONS)
    check_whole(tmp_path / "out", here)


def test_another_version_is_refused_and_named(
    session: SparkSession, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_other_versions_refused("spark", reference_bundle, inputs, tmp_path, monkeypatch)


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_a_bad_file_is_told_as_here(
    policy: str, session: SparkSession, reference_bundle: Path, inputs: Path, tmp_path: Path
) -> None:
    check_bad_file_told("spark", policy, reference_bundle, inputs, tmp_path)


def test_disagreement_is_not_tried_again(
    session: SparkSession, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whyport.batch.run.executors import spark_task

    tried, task = tmp_path / "tried", spark_task.task

    def disagreeing(shared: Any, tell: Any) -> Any:
        def carry_out(orders: Iterator[tuple[int, Order]]) -> Iterator[spark_task.Outcome]:
            for number, _ in orders:
                with tried.open("a") as file:
                    file.write(f"{number}\n")
                outcome = spark_task.Outcome(
                    number, 1, Done(own_name(), error=ParityError("the engines' scores differ"))
                )
                tell.add([outcome])
                yield outcome

        return carry_out

    monkeypatch.setattr(spark_task, "task", disagreeing)
    with pytest.raises(ParityError, match=r"^the engines' scores differ, in .*, process \d+$"):
        on_spark.run(session, reference_bundle, inputs, tmp_path / "out", **OPTIONS)
    monkeypatch.setattr(spark_task, "task", task)
    lines = tried.read_text().splitlines()
    assert len(lines) == len(set(lines))


def test_an_order_that_ends_every_worker_is_given_up(
    session: SparkSession, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whyport.batch.run.executors import spark_task

    def dying(shared: Any, tell: Any) -> Any:
        return lambda orders: os._exit(1)

    monkeypatch.setattr(spark_task, "task", dying)
    with pytest.raises(JobError, match=r"^expected Spark to carry out the orders, got .*Job aborted .* failed 4 times"):
        on_spark.run(session, reference_bundle, inputs, tmp_path / "out", **OPTIONS)
    assert not list((tmp_path / "out").glob("_workers-*"))


def test_what_the_session_says_is_no_option(session: SparkSession, reference_bundle: Path, tmp_path: Path) -> None:
    for name, value in {"on": "local", "workers": 2}.items():
        with pytest.raises(UsageError, match=f"^{name}: the session says where and how many"):
            on_spark.run(session, reference_bundle, tmp_path, tmp_path / "out", **{name: value})


def test_the_command_starts_a_session_and_ends_with_a_part_at_ctrl_c(
    reference_bundle: Path, inputs: Path, tmp_path: Path
) -> None:
    out, small = tmp_path / "out", OPTIONS | {"part_rows": 6, "batch_rows": 6}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in small.items()]
    command = [COMMAND, "run", reference_bundle, inputs, "--out", out, *options, "--on", "spark"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        while len(list(out.glob("part-*"))) < 3:
            assert run.poll() is None
            time.sleep(0.01)
        below = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        _, told = run.communicate()
    assert run.returncode == 130, told
    assert "error: stopped after a whole part (SIGINT): the same command resumes" in told
    assert len(contents(out)) >= 3
    assert not (out / "_SUCCESS").exists()
    assert {path.name for path in out.iterdir() if not path.name.startswith("part-")} <= {"_job.json", "_rejected"}
    psutil.wait_procs(below, timeout=20)
    assert not [process for process in below if process.is_running()]
    for folder in (out, tmp_path / "whole"):
        whyport.run(reference_bundle, inputs, folder, **small)
    check_whole(out, contents(tmp_path / "whole"))


def test_another_arithmetic_is_refused_and_named(reference_bundle: Path, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    command = [COMMAND, "run", reference_bundle, inputs, "--out", out, *options, "--on", "spark"]
    other = "--conf spark.executorEnv.ATEN_CPU_CAPABILITY=default pyspark-shell"
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYSPARK_SUBMIT_ARGS": other})
    assert done.returncode == 1
    assert re.search(
        r"^error: expected the run's arithmetic .* the last bits of gradient differ here", done.stderr, re.M
    )
    assert re.search(r", process \d+$", done.stderr.strip())
    assert not contents(out)


def test_the_page_s_program(reference_bundle: Path, inputs: Path, tmp_path: Path) -> None:
    (program,) = [each for each in blocks(ROOT / "docs" / "engines.md", "python") if "spark.run" in each]
    (tmp_path / "bundle").symlink_to(reference_bundle)
    (tmp_path / "data").symlink_to(inputs)
    (tmp_path / "score.py").write_text(program)
    command = [sys.executable, "score.py"]
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith(f"{FILES * ROWS - 1} Workers(orders={{")
    whyport.audit(tmp_path / "scored")
