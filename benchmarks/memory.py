"""Peak memory of `whyport run`, by rows of the input and of its row groups, with and without explanations.

    python benchmarks/memory.py [--rows N N] [--out JSON]

Each case runs in its own process, on Linux, and reports the process's peak as the kernel counts it (VmHWM). The model
is trivial and the table narrow: what could grow is the memory that streaming holds.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from wide_model import train, write_rows

FEATURES = 8
ROWS = (1_000_000, 10_000_000)
ROW_GROUP_ROWS = (1000, 1_000_000, None)
"""The rows per row group; None for a single row group."""
METHODS = ("none", "gradient")


def peak_mb() -> float:
    """The peak memory of this process so far, in MB."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def run_case(folder: Path, method: str) -> dict[str, float]:
    """Make a run in this process."""
    methods = () if method == "none" else (method,)
    started = time.perf_counter()
    settings = JobSettings(inputs=(str(folder / "rows.parquet"),), out=folder / "out", methods=methods, device="cpu")
    report = Job(Bundle.read(folder / "bundle"), settings).run()
    seconds = time.perf_counter() - started
    return {"peak_mb": round(peak_mb(), 1), "rows_per_second": round(report.rows_out / seconds)}


def in_a_process(*arguments: object) -> str:
    """Run this script as another process; returns what it prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(folder: Path, row_group_rows: int | None, rows: int) -> list[dict[str, Any]]:
    """Measure every method on one table."""
    source = folder / "rows.parquet"
    in_a_process("--write", source, rows, row_group_rows or rows)
    results = []
    for method in METHODS:
        result = json.loads(in_a_process("--case", folder, method))
        results.append({"explain": method, "row_group_rows": row_group_rows or "all", "rows": rows, **result})
        print("{explain:10}{row_group_rows:>16}{rows:12}{peak_mb:10.0f}{rows_per_second:10}".format(**results[-1]))
        shutil.rmtree(folder / "out")
    source.unlink()
    return results


def growth(results: list[dict[str, Any]]) -> dict[str, float]:
    """The peak over the most rows as a multiple of the peak over the fewest, by case."""
    peaks: dict[str, list[float]] = {}
    for result in sorted(results, key=lambda result: result["rows"]):
        case = f"explain {result['explain']}, row groups of {result['row_group_rows']} rows"
        peaks.setdefault(case, []).append(result["peak_mb"])
    return {case: round(peak[-1] / peak[0], 3) for case, peak in peaks.items()}


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs=2, type=int, default=ROWS, metavar="N")
    parser.add_argument("--out", type=Path, default=here / "results" / "memory.json")
    parser.add_argument("--case", nargs=2, metavar=("FOLDER", "METHOD"), help="One run, as JSON.")
    parser.add_argument("--write", nargs=3, metavar=("FILE", "ROWS", "ROW_GROUP_ROWS"), help="Write a table.")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(run_case(Path(arguments.case[0]), arguments.case[1])))
        return
    if arguments.write:
        path, rows, group = arguments.write
        write_rows(Path(path), FEATURES, int(rows), int(group))
        return
    with tempfile.TemporaryDirectory() as name:
        train(Path(name), FEATURES)
        print(f"{'explain':10}{'row group rows':>16}{'rows':>12}{'peak MB':>10}{'rows/s':>10}")
        cases = product(ROW_GROUP_ROWS, arguments.rows)
        results = [result for group, rows in cases for result in measure(Path(name), group, rows)]
    document = {"features": FEATURES, "peaks": results, "growth": growth(results)}
    for case, factor in document["growth"].items():
        print(f"{case:50} x {factor}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
