"""Stores that refuse, answer no more, or have odd names: a run says what is wrong and where, and leaves no lease."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import whyport
from store_server import StoreServer, environment, store_server
from whyport.cli import main
from whyport.runtime.errors import DataError, InterruptedJobError, JobError, OutputError, StoreError, WhyportError
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath

Write = Callable[..., Path]
OPTIONS: dict[str, Any] = {"batch_rows": 5, "part_rows": 10}
NAME = "a b%20c#ü=1+&?"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    monkeypatch.setattr(client, "RETRIES", 1)
    with store_server(monkeypatch) as running:
        yield running


@pytest.fixture
def input_file(table: pa.Table, write: Write) -> Path:
    return write(table.slice(0, 45), row_group_size=8)


def called(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def names(root: str) -> set[str]:
    return {path.name for path, _ in StorePath(root).walk_files()}


COMMANDS: dict[str, Callable[[str, Path, Path], list[object]]] = {
    "output": lambda there, bundle, rows: ["run", bundle, rows, "--out", there],
    "shard": lambda there, bundle, rows: ["run", bundle, rows, "--out", there, "--shard", "1/2"],
    "finish": lambda there, bundle, rows: ["run", bundle, rows, "--out", there, "--finish-only"],
    "dry run": lambda there, bundle, rows: ["run", bundle, rows, "--out", there, "--dry-run"],
    "input": lambda there, bundle, rows: ["run", bundle, there, "--out", rows.parent / "out"],
    "pattern": lambda there, bundle, rows: ["run", bundle, f"{there}/*.parquet", "--out", rows.parent / "out"],
    "earlier": lambda there, bundle, rows: ["run", bundle, rows, "--out", rows.parent / "o", "--new-since", there],
    "bundle": lambda there, bundle, rows: ["run", there, rows, "--out", rows.parent / "out"],
    "inspect": lambda there, bundle, rows: ["inspect", there],
    "verify": lambda there, bundle, rows: ["verify", there],
    "audit": lambda there, bundle, rows: ["audit", there],
    "show": lambda there, bundle, rows: ["show", there, "--row", 1],
    "report": lambda there, bundle, rows: ["report", there, "--out", rows.parent / "page.html"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("refusal", "reason"),
    [("404 NoSuchBucket", "bucket"), ("403 AccessDenied", "access denied: got 403 Forbidden"), ("gone", "got none")],
)
def test_every_command_says_in_a_line_what_a_store_does(
    command: str, refusal: str, reason: str, bundle: Path, input_file: Path, server: StoreServer
) -> None:
    server.refusal = lambda method, path: refusal
    done = called(*COMMANDS[command](f"{server.root}/there", bundle, input_file))
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"{server.root}/there" in line
    # A request for a file alone cannot tell a bucket that is not there from a file.
    nothing = ("expected a bundle", "no earlier run", "expected a run", "no run", "no job", "nothing")
    assert reason in line or (refusal.startswith("404") and any(each in line for each in nothing)), line
    assert "<" not in line


def test_an_error_of_a_store_is_one_of_the_tree_and_of_the_system(server: StoreServer) -> None:
    server.refusal = lambda method, path: "403 AccessDenied"
    with pytest.raises(StoreError) as caught:
        StorePath(f"{server.root}/x").read_bytes()
    error = caught.value
    assert isinstance(error, WhyportError)
    assert isinstance(error, OSError)
    assert str(error) == f"{error.strerror}, in {server.root}/x"
    assert error.strerror == f"access denied: got 403 Forbidden, AccessDenied, from {server.address}"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), str(again.at("elsewhere"))) == (StoreError, str(error), str(error))


def test_a_bucket_that_is_read_only_is_an_output_error(bundle: Path, input_file: Path, server: StoreServer) -> None:
    server.refusal = lambda method, path: "" if method in ("GET", "HEAD") else "403 AccessDenied"
    with pytest.raises(OutputError, match=rf"cannot write: access denied: got 403 .*, in {server.root}/out"):
        whyport.run(bundle, input_file, f"{server.root}/out", **OPTIONS)


@pytest.mark.parametrize("refusal", ["gone", "500 InternalError", "403 ExpiredToken"])
def test_a_store_that_fails_midway_ends_the_run_and_it_goes_on_later(
    refusal: str, bundle: Path, input_file: Path, server: StoreServer, tmp_path: Path
) -> None:
    whole = whyport.run(bundle, input_file, tmp_path / "whole", **OPTIONS)
    server.refusal = lambda method, path: refusal if server.count("PUT", "part-") > 2 else ""
    with pytest.raises(OutputError, match=rf"cannot write: .*, in {server.root}/out/part-"):
        whyport.run(bundle, input_file, f"{server.root}/out", **OPTIONS)
    server.refusal = lambda method, path: ""
    assert whyport.run(bundle, input_file, f"{server.root}/out", take_over=True, **OPTIONS).parts == whole.parts


def test_a_store_that_fails_while_an_input_is_read_is_a_data_error(
    bundle: Path, input_file: Path, server: StoreServer, tmp_path: Path
) -> None:
    client.put(server.root, "in.parquet", input_file.read_bytes())
    server.refusal = lambda method, path: "gone" if server.count("GET", "in.parquet") > 1 else ""
    with pytest.raises(DataError, match=rf"cannot read: expected an answer, got none from {server.address}, in s3://"):
        whyport.run(bundle, f"{server.root}/in.parquet", tmp_path / "out", **OPTIONS)
    server.refusal = lambda method, path: "403 AccessDenied" if method == "GET" and "in.parquet" in path else ""
    with pytest.raises(DataError, match="cannot read: access denied: got 403 Forbidden"):
        whyport.run(bundle, f"{server.root}/in.parquet", tmp_path / "out", **OPTIONS)


def test_a_person_is_told_of_an_answer_that_is_waited_for(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "TOLD_SECONDS", 0.01)
    server.delay_s = 0.2
    client.put(server.root, "a", b"1")
    assert f"the store has not answered yet, in {server.root}/a" in caplog.text


def test_more_time_is_left_for_more_bytes() -> None:
    shares = [client._share(sent) for sent in (0, 1, 8 << 20, (8 << 20) + 1, 16 << 20, 64 << 20, 5 << 30)]
    assert shares == [1, 1, 1, 2, 2, 8, 1024]


def test_a_signal_ends_the_run_without_a_lease(bundle: Path, input_file: Path, server: StoreServer) -> None:
    running: list[subprocess.Popen[bytes]] = []

    def before(method: str, path: str) -> None:
        if method == "PUT" and "part-" in path and server.count("PUT", "part-") == 1:
            running[0].send_signal(signal.SIGTERM)

    server.before = before
    arguments = ["run", bundle, input_file, "--out", f"{server.root}/out", "--batch-rows", "5", "--part-rows", "10"]
    command = [sys.executable, "-m", "whyport", *map(str, arguments)]
    running.append(subprocess.Popen(command, env=environment(server), stderr=subprocess.PIPE))
    _, error = running[0].communicate(timeout=300)
    assert running[0].returncode == 128 + signal.SIGTERM, error.decode()
    left = names(f"{server.root}/out")
    assert "_SUCCESS" not in left
    assert {name for name in left if not name.startswith("part-")} == {"_job.json"}
    server.before = lambda method, path: None
    assert len(whyport.run(bundle, input_file, f"{server.root}/out", **OPTIONS).parts) == 5


def test_of_two_runs_at_once_the_second_is_refused_by_name(bundle: Path, input_file: Path, root: str) -> None:
    refused: list[str] = []

    def progress(rows: int, total: int) -> None:
        if rows == 10:
            with pytest.raises(JobError) as caught:
                whyport.run(bundle, input_file, f"{root}/out", **OPTIONS)
            refused.append(str(caught.value))

    whyport.run(bundle, input_file, f"{root}/out", progress=progress, **OPTIONS)
    (message,) = refused
    assert message.startswith(f"another run writes to '{root}/out': process {os.getpid()} on ")
    whyport.audit(f"{root}/out")


def test_any_name_is_that_of_an_input_an_output_and_a_bundle(
    bundle: Path, table: pa.Table, write: Write, root: str, tmp_path: Path
) -> None:
    here = write(table.slice(0, 25), f"{NAME}/{NAME}.parquet")
    client.put(root, f"{NAME}/{NAME}.parquet", here.read_bytes())
    client.put(root, f"{NAME}/empty.parquet", write(table.slice(0, 0), "empty.parquet").read_bytes())
    for path in bundle.rglob("*"):
        if path.is_file():
            client.put(root, f"b {NAME}/{path.relative_to(bundle).as_posix()}", path.read_bytes())
    out = f"{root}/out {NAME}"
    report = whyport.run(f"{root}/b {NAME}", f"{root}/{NAME}", out, **OPTIONS)
    assert [(file.source_file, file.rows_in) for file in report.files] == [
        (f"{root}/{NAME}/{NAME}.parquet", 25),
        (f"{root}/{NAME}/empty.parquet", 0),
    ]
    whyport.audit(out)
    assert whyport.show(out, 24, file=f"{NAME}.parquet")
    assert whyport.report(out, tmp_path / "page.html")
    # With a pattern, where a question mark is any character and brackets are a choice.
    pattern = f"{root}/{NAME[:3]}*/?mpty.parquet"
    assert [file.rows_in for file in whyport.run(bundle, pattern, f"{root}/again", **OPTIONS).files] == [0]


def test_interrupting_twice_is_no_traceback(bundle: Path, input_file: Path, root: str) -> None:
    def progress(rows: int, total: int) -> None:
        if rows == 5:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedJobError):
        whyport.run(bundle, input_file, f"{root}/out", progress=progress, **OPTIONS)
    assert not [name for name in names(f"{root}/out") if name.startswith("_lock")]
