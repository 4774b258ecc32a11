"""Kills at random moments of whoever makes the parts of a job, with a check that every byte is the same.

    python benchmarks/kills.py [WAY ...] [--kills N] [--rows N] [--out JSON]

The demo model scores a resampled table once, undisturbed. Then, for each way to make the parts, until N kills have
landed: an attempt in a folder of its own; SIGKILL for one of its processes, at a random moment after a random number of
parts; whoever is left comes to an end; and a run takes up the job. The folder must then hold the very files of the
undisturbed run, and nothing beside them. The report must be the same but for what it says of the attempt.
"""

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo_model import resample, train
from ways import WAYS, WHYPORT, Command, Process, Way, carry_out, contents, differences, parts_of, start

MOMENT_SECONDS = 0.2
"""The longest from that part to the kill."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job that lost a process."""

    landed: bool
    """Whether the process was still there."""
    parts: int
    """The parts that were there at the kill."""
    wrong: list[str]
    """The files that were not those of the undisturbed run, when what was left of the attempt had ended, or at last."""


def wait_for_parts(out: Path, count: int, started: Sequence[Process]) -> int:
    """Wait until an attempt has made so many parts, or has ended; returns how many there are."""
    while True:
        is_over = all(process.poll() is not None for process in started)
        parts = sum(1 for _ in out.glob("part-*.parquet"))
        if is_over or (parts >= count and (out / "_job.json").exists()):
            return parts
        time.sleep(0.002)


def kill(pid: int | None, started: Sequence[Process]) -> bool:
    """Kill a process; returns whether it was still there."""
    if pid is None or any(process.pid == pid and process.poll() is not None for process in started):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_for_orphans(out: Path) -> None:
    """Wait for what a killed process had started: a driver outlives its spark-submit, and holds the folder."""
    with suppress(FileNotFoundError), (out / "_lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def disturb(way: Way, command: Command, out: Path, expected: dict[str, Any], draw: random.Random) -> Outcome:
    """An attempt that loses a process at a random moment, and then a run."""
    run = (*command, "--out", str(out))
    started = [start(each) for each in way.attempt(run)]
    parts = wait_for_parts(out, draw.randrange(len(parts_of(expected))), started)
    time.sleep(draw.uniform(0, MOMENT_SECONDS))
    landed = kill(way.victim(started, draw), started)
    for process in started:
        process.wait()
    wait_for_orphans(out)
    wrong = [name for name, digest in parts_of(contents(out)).items() if expected.get(name) != digest]
    if start(run).wait():
        wrong.append("the run's exit code")
    return Outcome(landed, parts, wrong + differences(contents(out), expected))


def measure(way: Way, command: Command, folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Disturb one way of making a job's parts, until so many kills have landed; the folder is a new one."""
    folder.mkdir()
    carry_out([(*command, "--out", str(folder / "undisturbed"))])
    expected, draw = contents(folder / "undisturbed"), random.Random(seed)
    outcomes: list[Outcome] = []
    while sum(outcome.landed for outcome in outcomes) < kills:
        out = folder / f"kill-{len(outcomes)}"
        outcomes.append(disturb(way, command, out, expected, draw))
        shutil.rmtree(out)
    landed = [outcome for outcome in outcomes if outcome.landed]
    return {
        "parts": len(parts_of(expected)),
        "kills": len(landed),
        "too_late": len(outcomes) - len(landed),
        "parts_at_the_kill": sorted(outcome.parts for outcome in landed),
        "same_bytes_and_no_leftovers": sum(not outcome.wrong for outcome in landed),
        "wrong": [asdict(outcome) for outcome in outcomes if outcome.wrong],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}; by default all")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kills.json")
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        bundle = train(folder)
        resample(arguments.rows).to_parquet(folder / "rows.parquet", index=False)
        small = ("--threads", "1", "--part-rows", "4096", "--batch-rows", "4096")
        command = (*WHYPORT, "run", str(bundle.path), str(folder / "rows.parquet"), *small)
        for name in arguments.ways or WAYS:
            results[name] = {"rows": arguments.rows} | measure(WAYS[name], command, folder / name, arguments.kills)
            print(name, json.dumps(results[name], indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(any(result["wrong"] for result in results.values()))


if __name__ == "__main__":
    main()
