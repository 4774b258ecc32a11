"""Damaged Parquet files: no traceback, no hang, no gigabytes."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

import parquet_mutants
from parquet_mutants import Outcome, legal_files, mutants


def test_two_hundred_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    """In a process of its own, from which each command is forked: this one has threads."""
    out = tmp_path / "figures.json"
    options = ["--mutants", "200", "--seed", "15", "--out", str(out)]
    command = [sys.executable, parquet_mutants.__file__, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(out.read_text())
    assert figures["faults"] == []
    assert sum(figures["exits"].values()) == 250
    assert figures["worst_peak_bytes"] < 700_000_000
    # Most damage shows, and not all: otherwise the files were not damaged, or not legal before.
    assert figures["exits"]["run 1"] > 100
    assert figures["exits"]["run 0"] > 10


def test_the_damage_depends_on_the_seed_alone() -> None:
    files = legal_files(("a", "b"), 3)
    random.seed(1)
    first = list(mutants(files, 30, 3))
    assert list(mutants(files, 40, 3))[:30] == first
    assert {mutant.content for mutant in first}.isdisjoint(file.content for file in files)


@pytest.mark.parametrize(
    ("end", "seconds", "peak", "is_fault"),
    [
        ("0", 1, 10, False),
        ("1", 1, 10, False),
        ("4", 1, 10, False),
        ("traceback", 1, 10, True),
        ("hang", 1, 10, True),
        ("signal 11", 1, 10, True),
        ("1", 31, 10, True),
        ("1", 1, 1_600_000_000, True),
    ],
)
def test_what_counts_as_a_fault(end: str, seconds: float, peak: int, is_fault: bool) -> None:
    assert Outcome(0, "plain", "flip_bit", "run", end, seconds, peak, "").is_fault == is_fault
