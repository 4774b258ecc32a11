"""Damaged bundles, seeded, through every command's code: each ends in an answer or in one of whyport's own errors.

    python benchmarks/bundle_mutants.py [--mutants N] [--processes N] [--out JSON]

Each mutant is the reference bundle with one file changed; the digests are made anew, as a forger would, so that the
change is read. It is opened, asked for predictions and reasons, verified, and given to a small run. Counted are errors
of other kinds, ends of the process, more than 30 seconds, and more than 1.5 GB.
"""

import argparse
import contextlib
import functools
import json
import multiprocessing
import re
import resource
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bundle_damage import KINDS, REFERENCE, kind_of, make_mutant
from whyport.batch.run.run import run
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.conformance import replay
from whyport.runtime.errors import WhyportError
from whyport.runtime.session import Session

METHODS = (
    ("torchscript", "deepshap"),
    ("onnx", "deepshap"),
    ("torchscript", "gradient"),
    ("onnx", "gradient"),
    ("torchscript", "grad-cam"),
    ("onnx", "attention"),
)
"""The engines and methods of the runs, in turn."""

MOST_SECONDS, MOST_BYTES = 30, 1_500_000_000
PATIENCE = 240
"""Seconds by the clock after which a process is taken to hang; beside other processes, all takes longer."""
ROWS = 5


@dataclass(frozen=True)
class Outcome:
    """The end of a mutant."""

    mutant: int
    kind: str
    end: str
    """The step that refused it, "answered" where none did, or "traceback", "killed", "hang"."""
    seconds: float
    """The processor time that it took."""
    most_bytes: int
    message: str = ""


@functools.cache
def rows_and_names() -> tuple[np.ndarray[Any, np.dtype[np.float32]], tuple[str, ...]]:
    """A few rows [N, F] for the reference bundle, and the names of their columns."""
    sidecar = Bundle.read(REFERENCE).sidecar
    means = np.array([column.statistics.mean for column in sidecar.columns])
    rows = (means * np.linspace(0.8, 1.2, ROWS)[:, None]).astype(np.float32)
    return rows, sidecar.column_names


def attack(number: int, folder: Path) -> Outcome:
    """Take a mutant through everything that reads a bundle; an error that is not whyport's own is raised.

    Args:
        number: the mutant.
        folder: an empty folder.
    """
    started = time.process_time()
    kind = make_mutant(number, folder / "bundle")
    rows, names = rows_and_names()
    pq.write_table(pa.table(dict(zip(names, rows.T, strict=True))), folder / "rows.parquet")
    refused: list[tuple[str, str]] = []
    opened: list[Session] = []
    engine, method = METHODS[number // len(KINDS) % len(METHODS)]
    steps: list[tuple[str, Callable[[], object]]] = [
        ("open", lambda: opened.append(Session(Bundle.read(folder / "bundle"), "cpu", threads=2))),
        ("predict", lambda: opened[0].predict(rows)),
        ("explain", lambda: opened[0].explain(rows)),
        ("verify", lambda: replay(opened[0])),
        (
            "run",
            lambda: run(
                folder / "bundle",
                folder / "rows.parquet",
                folder / "out",
                explain=method,
                engine=engine,
                threads=2,
                device="cpu",
            ),
        ),
    ]
    for name, step in steps:
        try:
            step()
        except WhyportError as error:
            refused.append((name, str(error)))
            if name == "open":
                break
    end, message = refused[0] if refused else ("answered", "")
    return Outcome(number, kind, end, time.process_time() - started, 0, message)


def _work(numbers: list[int], pipe: Connection) -> None:
    """Attack mutants one after the other, and send how each ended."""
    for number in numbers:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the largest size is measured anew
        with tempfile.TemporaryDirectory() as text:
            started = time.process_time()
            try:
                outcome = asdict(attack(number, Path(text)))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                message = f"{type(error).__name__}: {error} at {place.filename}:{place.lineno}"[:400]
                seconds = time.process_time() - started
                outcome = asdict(Outcome(number, kind_of(number), "traceback", seconds, 0, message))
        pipe.send(outcome | {"most_bytes": _most_bytes()})
    pipe.send(None)


def _most_bytes() -> int:
    """The largest resident size, in bytes."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(numbers: list[int]) -> Iterator[Outcome]:
    """The outcomes of mutants, attacked in a process that is replaced when it dies or hangs."""
    context = multiprocessing.get_context("spawn")
    while numbers:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(numbers, there))
        process.start()
        there.close()
        while True:
            if not here.poll(PATIENCE):
                end = "hang"
                break
            try:
                message = here.recv()
            except EOFError:
                end = "killed"
                break
            if message is None:
                end = ""
                break
            numbers = numbers[1:]
            yield Outcome(**message)
        process.kill()
        process.join()
        if end:
            number = numbers[0]
            numbers = numbers[1:]
            yield Outcome(number, kind_of(number), end, 0.0, 0, f"exit code {process.exitcode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "bundle_mutants.json")
    arguments = parser.parse_args()
    outcomes: list[Outcome] = []

    def attack_some(start: int) -> None:
        for outcome in measure(list(range(start, arguments.mutants, arguments.processes))):
            outcomes.append(outcome)
            if outcome.end in ("traceback", "killed", "hang") or outcome.most_bytes > MOST_BYTES:
                print(json.dumps(asdict(outcome)), flush=True)

    with ThreadPoolExecutor(arguments.processes) as pool:
        list(pool.map(attack_some, range(arguments.processes)))
    ends = Counter(outcome.end for outcome in outcomes)
    results = {
        "mutants": len(outcomes),
        "tracebacks": ends["traceback"],
        "killed": ends["killed"],
        "hangs": ends["hang"] + sum(outcome.seconds > MOST_SECONDS for outcome in outcomes),
        "over_1.5_GB": sum(outcome.most_bytes > MOST_BYTES for outcome in outcomes),
        "slowest_seconds": round(max(outcome.seconds for outcome in outcomes), 2),
        "most_bytes": max(outcome.most_bytes for outcome in outcomes),
        "ends": dict(ends.most_common()),
        "by_kind": {
            kind: dict(Counter(outcome.end for outcome in outcomes if outcome.kind == kind).most_common())
            for kind in sorted({outcome.kind for outcome in outcomes})
        },
    }
    print(json.dumps(results, indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
