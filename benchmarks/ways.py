"""The ways to have a job's parts made, and what lies in its folder then."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import whyport

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


def below(*words: str) -> Callable[[Sequence[Process], random.Random], int | None]:
    """Chooses a process below those that were started, by words of its command line or its title."""

    def choose(started: Sequence[Process], draw: random.Random) -> int | None:
        import psutil

        found = []
        for top in started:
            try:
                every = psutil.Process(top.pid).children(recursive=True)
                found += [each.pid for each in every if all(word in " ".join(each.cmdline()) for word in words)]
            except psutil.NoSuchProcess:
                continue
        return draw.choice(found) if found else None

    return choose


def _on_ray(command: Command) -> list[Command]:
    return [(*command, "--on", "ray", "--workers", "2")]


def _on_spark(command: Command) -> list[Command]:
    """By spark-submit, on two executors in processes of their own, that only this machine can reach."""
    submit = str(Path(sys.executable).with_name("spark-submit"))
    here = ("spark.driver.host", "spark.driver.bindAddress")
    settings = [f"--conf={name}=127.0.0.1" for name in here] + ["--conf=spark.ui.enabled=false"]
    cluster = ("--master", "local-cluster[2,1,1024]", "--executor-memory", "700m", "--driver-memory", "700m")
    program = str(Path(whyport.__file__).with_name("__main__.py"))
    return [(submit, *cluster, *settings, program, *command[len(WHYPORT) :], "--on", "spark")]


WAYS = {
    "run": Way(lambda command: [command]),
    "shards": Way(lambda command: [(*command, "--shard", f"{number}/3") for number in (1, 2, 3)]),
}
if find_spec("ray"):
    WAYS |= {
        "ray": Way(_on_ray),
        "ray-actor": Way(_on_ray, below("ray::Actor")),
        "ray-raylet": Way(_on_ray, below("raylet/raylet ")),
    }
if find_spec("pyspark"):
    WAYS |= {
        "spark": Way(_on_spark),
        "spark-python": Way(_on_spark, below("pyspark.daemon")),
        "spark-executor": Way(_on_spark, below("CoarseGrainedExecutorBackend")),
    }


def start(command: Command) -> Process:
    """Start a command; what it says is of no interest, since its files are."""
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


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
