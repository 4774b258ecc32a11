"""The cost of kills and signals to a run, with a check that the bytes are the same.

    python benchmarks/faults.py [--kills N] [--out JSON]

The demo model scores (and, in a second case, explains) a resampled table: once undisturbed, once killed with SIGKILL,
and once ended with SIGTERM. Each kill or signal is repeated at random moments after the attempt has added a part, and
the same command resumes. Seconds are summed over all attempts, including the loading of Python and the model.
"""

import argparse
import hashlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_model import resample, train

# Rows, and options with small parts, one of which a kill costs.
CASES = {
    "predict": (400_000, ["--part-rows", "8192", "--batch-rows", "8192"]),
    "deepshap": (16_384, ["--explain", "deepshap", "--part-rows", "256", "--batch-rows", "256"]),
}
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM}


@dataclass(frozen=True)
class Attempt:
    """One attempt: a single start of the command."""

    exit_code: int
    seconds: float
    seconds_to_end: float
    """Seconds from the signal to the end of the process."""


def parts(out: Path) -> dict[str, str]:
    """The sha256 of every part."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("part-*.parquet")
    }


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def disturb(command: list[str], out: Path, number: signal.Signals, generator: random.Random) -> Attempt:
    """Start a run and signal it at a random moment after it has added a part."""
    started, before = time.perf_counter(), len(parts_of(out))
    process = start(command)
    while process.poll() is None and len(parts_of(out)) <= before:
        time.sleep(0.002)
    time.sleep(generator.uniform(0, 0.2))
    signalled = time.perf_counter()
    process.send_signal(number)
    code = process.wait()
    ended = time.perf_counter()
    return Attempt(code, ended - started, ended - signalled)


def parts_of(out: Path) -> list[Path]:
    return list(out.glob("part-*.parquet"))


def finish(command: list[str]) -> float:
    """Run to the end; returns the seconds that it took."""
    started = time.perf_counter()
    if start(command).wait():
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - started


def measure(command: list[str], folder: Path, kills: int) -> dict[str, Any]:
    """Measure one case."""
    expected = folder / "expected"
    undisturbed = finish([*command, "--out", str(expected)])
    whole = parts(expected)
    result: dict[str, Any] = {"parts": len(whole), "undisturbed_seconds": round(undisturbed, 2)}
    for name, number in SIGNALS.items():
        out = folder / name
        resuming = [*command, "--out", str(out)]
        attempts: list[Attempt] = []
        generator = random.Random(0)
        while len(attempts) < kills and not (out / "_SUCCESS").exists():
            attempts.append(disturb(resuming, out, number, generator))
            if not parts(out).items() <= whole.items():
                raise SystemExit(f"a part is not that of the undisturbed run, in {out}")
        last = finish(resuming)
        landed = sum(attempt.exit_code != 0 for attempt in attempts)
        result[name] = {
            "landed": landed,
            "exit_codes": sorted({attempt.exit_code for attempt in attempts}),
            "same_bytes": parts(out) == whole,
            "seconds_of_all_attempts": round(sum(a.seconds for a in attempts) + last, 2),
            "median_seconds_from_signal_to_end": round(statistics.median(a.seconds_to_end for a in attempts), 3),
            "extra_seconds_a_signal": round((sum(a.seconds for a in attempts) + last - undisturbed) / landed, 2),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "faults.json")
    arguments = parser.parse_args()
    results = {}
    for name, (rows, options) in CASES.items():
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            bundle = train(folder)
            resample(rows).to_parquet(folder / "rows.parquet", index=False)
            program = [sys.executable, "-c", "from whyport.cli import main; main()"]
            command = [*program, "run", str(bundle.path), str(folder / "rows.parquet"), *options]
            results[name] = {"rows": rows, "options": " ".join(options)} | measure(command, folder, arguments.kills)
        print(name, json.dumps(results[name], indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
