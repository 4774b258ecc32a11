"""Runs that are killed in their middle, and taken up again."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import whyport


def check_resumed_bytes(bundle: Path, rows: Path, folder: Path, killed_after: int, **options: Any) -> None:
    """Assert that a run which is killed after so many rows and resumed writes the same parts as one that is not."""
    whole, resumed = folder / "whole", folder / "resumed"
    whyport.run(bundle, rows, whole, **options)
    run_and_kill("run", killed_after, bundle, rows, resumed, **options)
    expected = {path.name: path.read_bytes() for path in whole.glob("part*.parquet")}
    assert 0 < len(list(resumed.glob("part*.parquet"))) < len(expected)
    whyport.run(bundle, rows, resumed, **options)
    assert {path.name: path.read_bytes() for path in resumed.glob("part*.parquet")} == expected


def run_and_kill(function: str, after: int, *arguments: object, **options: Any) -> None:
    """Call a function of whyport in a process that kills itself once more than so many rows are done."""
    given = ", ".join(repr(str(each) if isinstance(each, Path) else each) for each in arguments)
    kill = (
        "import os, signal, whyport\n"
        "def progress(done, total):\n"
        f"    if done > {after}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"whyport.{function}({given}, progress=progress, **{options})"
    )
    killed = subprocess.run([sys.executable, "-c", kill], capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
