"""Groups of rows: time and peak memory of `whyport compare RUN --by`, with truth that is joined by a key.

    python benchmarks/groups.py --rows 1000000 10000000

A run of a made linear model with three features, explained by `gradient`, and as many labels in a CSV file. The runs
are made first and are not in the figures.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from whyport import run as score

RESULTS = Path(__file__).parent / "results" / "groups.json"
AT_ONCE = 1 << 20
PROGRAM = """
import re, sys, time
from pathlib import Path
from whyport import compare_groups
begin = time.perf_counter()
labels = {"labels": sys.argv[2], "key": "id"} if len(sys.argv) > 2 else {}
lines = compare_groups(sys.argv[1], "region", **labels)
# Of this program alone: ru_maxrss has what its parent held when it was started.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(time.perf_counter() - begin, peak / 1024)
"""


def write(rows: int, folder: Path) -> None:
    """The inputs and the labels, some rows at a time."""
    rng = np.random.default_rng(rows)
    writer = labels = None
    for start in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - start)
        numbers = rng.normal(size=(count, 3)).astype(np.float32)
        keys = pa.array([f"C{i:09d}" for i in range(start, start + count)])
        region = pa.array(np.array(["north", "south", "east", "west"])[rng.integers(0, 4, count)])
        table = pa.table({"id": keys, "region": region, **dict(zip("abc", numbers.T, strict=True))})
        outcome = pa.array(np.where(numbers[:, 1] + rng.normal(size=count) > 0, "yes", "no"))
        truth = pa.table({"id": keys, "outcome": outcome}).take(pa.array(rng.permutation(count)))
        writer = writer or pq.ParquetWriter(folder / "rows.parquet", table.schema)
        labels = labels or pyarrow.csv.CSVWriter(folder / "labels.csv", truth.schema)
        writer.write_table(table)
        labels.write_table(truth)
    if writer is not None and labels is not None:
        writer.close()
        labels.close()


def measured(run: Path, *labels: Path) -> dict[str, float]:
    """Seconds and the peak of memory of one process."""
    command = [sys.executable, "-c", PROGRAM, str(run), *map(str, labels)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, mebibytes = map(float, output.split())
    return {"seconds": round(seconds, 1), "peak_mib": round(mebibytes)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    asked = parser.parse_args()
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from support.bundles import linear_bundle

    found = {}
    for rows in asked.rows:
        with TemporaryDirectory() as name:
            folder = Path(name)
            write(rows, folder)
            bundle = linear_bundle(folder / "bundle")
            begin = time.perf_counter()
            keep = ["id", "region"]
            score(bundle, folder / "rows.parquet", folder / "out", explain="gradient", keep=keep, device="cpu")
            print(f"{rows} rows scored in {time.perf_counter() - begin:.0f} s", flush=True)
            found[str(rows)] = {
                "without_truth": measured(folder / "out"),
                "labels_joined": measured(folder / "out", folder / "labels.csv"),
            }
            print(json.dumps(found[str(rows)]), flush=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
