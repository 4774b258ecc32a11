"""The ways to have a job's parts made, and what lies in its folder then."""

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHYPORT = (sys.executable, "-c", "from whyport.cli import main; main()")
Command = tuple[str, ...]
Process = subprocess.Popen[bytes]


def one_of(started: Sequence[Process], draw: random.Random) -> int | None:
    """One of the processes that are still there, or None."""
    there = [process.pid for process in started if process.poll() is None]
    return draw.choice(there) if there else None


@dataclass(frozen=True)
class Way:
    """A way to make the parts of a job.

    Args:
        attempt: the commands, run at once, that a run's own command becomes. A run finishes what they have made.
        victim: the process to kill of those that were started, and of theirs; None where there is none yet.
    """

    attempt: Callable[[Command], list[Command]]
    victim: Callable[[Sequence[Process], random.Random], int | None] = one_of


WAYS = {
    "run": Way(lambda command: [command]),
    "shards": Way(lambda command: [(*command, "--shard", f"{number}/3") for number in (1, 2, 3)]),
}


def start(command: Command) -> Process:
    """Start a command; what it says is of no interest, since its files are."""
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def carry_out(commands: Sequence[Command]) -> None:
    """Run commands at once, to their end; ends this process if one fails."""
    started = [start(command) for command in commands]
    codes = [process.wait() for process in started]
    if any(codes):
        raise SystemExit(f"failed: {' '.join(commands[0])}")


def contents(out: Path) -> dict[str, Any]:
    """Every file of a folder: its digest, or of the report what does not depend on the attempt."""
    found: dict[str, Any] = {}
    for path in sorted(each for each in out.rglob("*") if not each.is_dir()):
        data = path.read_bytes()
        if path.name == "_report.json":
            found["_report.json"] = {name: each for name, each in json.loads(data).items() if name != "performance"}
        else:
            found[path.relative_to(out).as_posix()] = hashlib.sha256(data).hexdigest()
    return found


def parts_of(files: dict[str, Any]) -> dict[str, str]:
    """The parts, and the parts of rejected rows, among a folder's contents."""
    return {name: digest for name, digest in files.items() if Path(name).name.startswith("part-")}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """The names of the files that only one of the two has, or that differ."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
