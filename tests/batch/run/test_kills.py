"""A run that is killed again and again comes to the same bytes as one that nobody disturbs."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

Write = Callable[..., Path]

ROWS = 30_000
PART_ROWS = 200


@pytest.fixture
def source(write: Write) -> Path:
    """Rows of which some are rejected, with row groups that fit no part."""
    generator = np.random.default_rng(7)
    features = {name: generator.normal(size=ROWS) for name in "abc"}
    features["b"][::61] = np.nan
    columns = {"id": [f"r{i}" for i in range(ROWS)], "kind": pa.array(["x", "y", "z"] * (ROWS // 3))}
    columns["kind"] = columns["kind"].dictionary_encode()
    return write(pa.table(features | columns), row_group_size=1_117)


def command(bundle: Path, source: Path, out: Path, *options: str) -> list[str]:
    program = "from whyport.cli import main; main()"
    sizes = ["--part-rows", str(PART_ROWS), "--batch-rows", "100", "--keep", "id,kind"]
    run = [sys.executable, "-c", program, "run", bundle, source, "--out", out, *sizes, *options]
    return [str(argument) for argument in run]


def parts(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("part-*.parquet")}


def counts(out: Path) -> dict[str, Any]:
    """The report, but for how the last attempt went."""
    report: dict[str, Any] = json.loads((out / "_report.json").read_text())
    del report["performance"]
    return report


def disturb(arguments: list[str], out: Path, number: signal.Signals, seed: int) -> int:
    """Start a run and send it a signal at any moment after it has added a part; its exit code."""
    before = len(list(out.glob("part-*.parquet")))
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.glob("part-*.parquet"))) <= before:
        time.sleep(0.002)
    time.sleep(random.Random(seed).uniform(0, 0.03))
    if process.poll() is None:
        os.kill(process.pid, number)
    return process.wait()


@pytest.mark.parametrize(
    ("number", "code", "kills"),
    [(signal.SIGKILL, -signal.SIGKILL, 20), (signal.SIGTERM, 143, 20), (signal.SIGINT, 130, 2)],
)
def test_the_same_command_resumes_to_the_same_bytes(
    bundle: Path, source: Path, tmp_path: Path, number: signal.Signals, code: int, kills: int
) -> None:
    expected, out = tmp_path / "expected", tmp_path / "out"
    subprocess.run(command(bundle, source, expected), check=True, capture_output=True)
    arguments, whole = command(bundle, source, out), parts(expected)
    for seed in range(kills):
        assert disturb(arguments, out, number, seed) == code
        assert not (out / "_SUCCESS").exists()
        assert parts(out).items() <= whole.items()
    subprocess.run(arguments, check=True, capture_output=True)
    assert (out / "_SUCCESS").exists()
    assert parts(out) == whole
    assert counts(out) == counts(expected)
    assert json.loads((out / "_report.json").read_text())["performance"]["resumed_parts"] > 0
    assert not list(out.rglob(".*"))


def test_an_explained_run_resumes_to_the_same_bytes(bundle: Path, source: Path, tmp_path: Path) -> None:
    expected, out = tmp_path / "expected", tmp_path / "out"
    options = ("--explain", "integrated-gradients", "--explain", "deepshap")
    subprocess.run(command(bundle, source, expected, *options), check=True, capture_output=True)
    arguments = command(bundle, source, out, *options)
    for seed in range(3):
        assert disturb(arguments, out, signal.SIGKILL, seed) == -signal.SIGKILL
    subprocess.run(arguments, check=True, capture_output=True)
    assert parts(out) == parts(expected)
    assert counts(out) == counts(expected)
    assert set(counts(out)["methods"]) == {"integrated-gradients", "deepshap"}


def test_a_second_signal_stops_at_once(bundle: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # One part, so that finishing it would finish the run.
    arguments = [*command(bundle, source, out, "--explain", "integrated-gradients"), "--part-rows", str(ROWS)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    while not list(out.glob(f".part-00000-{0:012d}-{ROWS:012d}.parquet.*.tmp")):
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143
    assert "error: stopped at once (SIGTERM): the same command resumes\n" in errors
    assert "Traceback" not in errors
    assert not list(out.glob("*part-*"))
    assert not list(out.glob(".part-*"))
