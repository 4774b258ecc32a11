"""Two checkouts beside each other: the same work by the code of either, each in processes of its own.

    python benchmarks/checkouts.py OLD NEW [--pairs N] [--out JSON]

Times `whyport run` before and after a change: predictions of the demo model and of a trivial one, and `deepshap`. In
each pair both run once, the first in turn, so that a drift of the machine's speed falls on both alike. What counts is
the run itself, as its report has it: neither Python's start nor the bundle's opening.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from demo_model import resample, train
from wide_model import train as train_wide
from wide_model import write_rows

# The command of a checkout, and which code it is: its packages are parts of one, or stand by themselves.
COMMAND = """
import sys
from {home} import main
print(main.callback.__code__.co_filename, file=sys.stderr)
main(sys.argv[1:])
"""
PREDICTED_ROWS, EXPLAINED_ROWS, TRIVIAL_ROWS = 300_000, 2_000, 3_000_000


def run_checkout(checkout: Path, arguments: Sequence[object]) -> None:
    """Let a checkout's own code carry out `whyport run`; SystemExit where it fails, or other code was found."""
    home = "whyport.cli" if (checkout / "whyport" / "cli.py").exists() else "runtime.cli"
    command = [sys.executable, "-c", COMMAND.format(home=home), "run", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(import_path(checkout, Path(folder)))}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
        ran = Path(done.stderr.split("\n", 1)[0]).resolve()
    if done.returncode or not ran.is_relative_to(checkout):
        sys.exit(f"{checkout}: exit code {done.returncode} of the code in {ran}\n{done.stderr}")


def import_path(checkout: Path, folder: Path) -> Path:
    """The folder to import a checkout's packages from: its root, or a tree of links to it."""
    if not (checkout / "whyport" / "cli.py").exists():
        return checkout
    package = folder / "site" / "whyport"
    package.mkdir(parents=True)
    for part in [*(checkout / "whyport").glob("*.py"), *(checkout / name for name in ("runtime", "exporter", "batch"))]:
        (package / part.name).symlink_to(part)
    return package.parent


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the median, by 10 000 bootstrap samples."""
    drawn = np.random.default_rng(0).choice(ratios, size=(10_000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def jobs(folder: Path) -> dict[str, list[object]]:
    """The timed runs by title: the bundle, the input and the options of each."""
    demo = train(folder).path
    wide = folder / "wide"
    wide.mkdir()
    trivial = train_wide(wide, 30, 8).path
    resample(PREDICTED_ROWS).to_parquet(folder / "predicted.parquet", index=False)
    resample(EXPLAINED_ROWS).to_parquet(folder / "explained.parquet", index=False)
    write_rows(folder / "trivial.parquet", 30, TRIVIAL_ROWS)
    return {
        "run, the demo model": [demo, folder / "predicted.parquet"],
        "run, a trivial MLP": [trivial, folder / "trivial.parquet"],
        "deepshap of every class": [
            demo, folder / "explained.parquet", "--explain", "deepshap", "--explain-class", "all",
        ],
    }  # fmt: skip


def seconds(checkout: Path, arguments: list[object], out: Path) -> float:
    """The wall clock of one run, as its report has it."""
    run_checkout(checkout, [*arguments, "--out", out, "--device", "cpu", "--overwrite"])
    return float(json.loads((out / "_report.json").read_text(encoding="utf-8"))["performance"]["seconds"]["total"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "checkouts.json")
    arguments = parser.parse_args()
    sides = {"old": arguments.old.resolve(), "new": arguments.new.resolve()}
    result = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, job in jobs(folder).items():
            for checkout in sides.values():  # compiles kernels, and fills the system's cache of files
                seconds(checkout, job, folder / "out")
            taken: dict[str, list[float]] = {side: [] for side in sides}
            for pair in range(arguments.pairs):
                for side in sorted(sides, reverse=bool(pair % 2)):
                    taken[side].append(seconds(sides[side], job, folder / "out"))
            ratios = [old / new for old, new in zip(taken["old"], taken["new"], strict=True)]
            low, high = interval(ratios)
            result[title] = {"seconds": taken, "ratio": statistics.median(ratios), "interval": [low, high]}
            print(f"{title:26} speed new / old: median {result[title]['ratio']:.3f}, 95 % {low:.3f} to {high:.3f}")
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
