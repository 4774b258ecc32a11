"""How long `whyport compare` takes over two runs, and its peak memory, beside reading both with pyarrow.

    python benchmarks/compare.py [--rows N] [--files N] [--copies N] [--folder FOLDER] [--out JSON]

Each of two nights has the rows in several files, with 30 features, one of which has moved in the second; a small MLP
scores them with `gradient`. A night then has that many copies of these files and parts, under other names, which saves
scoring the same rows again: 10 million rows by default. Every measurement is a process of its own, in turn, and the
medians are told. pyarrow reads the columns that the comparison needs, of parts and inputs, by its own threads on the
same cores.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import whyport
from memory import peak_mb
from whyport.batch.review.finished_run import FinishedRun
from wide_model import names, train

FEATURES = 30
GROUP_ROWS = 1 << 17
MOVED = 4
"""The feature that has moved in the second night, by half a standard deviation."""


def write_file(path: Path, rows: int, seed: int, moved: bool) -> None:
    """A file of one night."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer().data
    generator = np.random.default_rng(seed)
    columns = names(FEATURES)
    schema = pa.schema([("id", pa.int64()), *((name, pa.float32()) for name in columns)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            count = min(GROUP_ROWS, rows - start)
            drawn = data[generator.integers(len(data), size=count)] * generator.normal(1, 0.02, (count, FEATURES))
            if moved:
                drawn[:, MOVED] += data[:, MOVED].std() / 2
            ids = pa.array(np.arange(start, start + count) + (seed % 1000) * rows)
            arrays = [ids, *(pa.array(column.astype(np.float32)) for column in drawn.T)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=count)


def make(folder: Path, rows: int, files: int) -> None:
    """The bundle and the two runs; what is there is kept."""
    if not (folder / "bundle").exists():
        train(folder, FEATURES)
    for night, moved in (("a", False), ("b", True)):
        incoming = folder / f"{night}-in"
        incoming.mkdir(exist_ok=True)
        for number in range(files):
            path = incoming / f"{number:02}.parquet"
            if not path.exists():
                write_file(path, rows // files, 1000 * moved + number, moved)
        whyport.run(folder / "bundle", incoming, folder / night, explain="gradient", keep="id", device="cpu")


def copy(folder: Path, night: str, copies: int) -> None:
    """A finished run over so many copies of a run's inputs, each of the same bytes under another name."""
    run = FinishedRun.read(folder / night)
    out, incoming = folder / f"{night}-copied", folder / f"{night}-copied-in"
    if out.exists():
        return
    incoming.mkdir()
    job, report = (json.loads((folder / night / name).read_text()) for name in ("_job.json", "_report.json"))
    marks = []
    for number in range(copies):
        for mark in job["inputs"]:
            path = incoming / f"{number:02}-{Path(mark['path']).name}"
            path.hardlink_to(mark["path"])
            marks.append(mark | {"source_file": str(path), "path": str(path.resolve())})
    (out / "_rejected").mkdir(parents=True)
    every = {span.name: run.path(span) for span in run.parts}
    for number in range(copies):
        for span in run.parts:
            moved = dataclasses.replace(span, index=number * len(job["inputs"]) + span.index)
            (out / moved.name).hardlink_to(every[span.name])
    report |= {key: report[key] * copies for key in ("rows_in", "rows_out")}
    report["explained"] = {name: rows * copies for name, rows in report["explained"].items()}
    (out / "_job.json").write_text(json.dumps(job | {"inputs": marks}))
    (out / "_report.json").write_text(json.dumps(report))
    (out / "_SUCCESS").touch()


def columns_of(run: FinishedRun) -> list[str]:
    """The columns of a run's parts that a comparison needs."""
    (each,) = run.explanations
    predicted = [column.name for column in run.task.columns]
    return ["source_row", *predicted, each.score, *(field.name for field in run.fields(each))]


def read_both(folder: Path) -> None:
    """Read what a comparison needs, and nothing else."""
    for night in ("a-copied", "b-copied"):
        run = FinishedRun.read(folder / night)
        parts = [str(run.path(span)) for span in run.parts]
        inputs = [mark.path for mark in run.inputs]
        for paths, columns in ((parts, columns_of(run)), (inputs, names(FEATURES))):
            for batch in ds.dataset(paths).scanner(columns=columns).to_batches():
                del batch


def measure(folder: Path, what: str) -> dict[str, float]:
    """One measurement in this process."""
    began, cpu = time.perf_counter(), time.process_time()
    if what == "pyarrow":
        read_both(folder)
    else:
        report = whyport.compare(folder / "a-copied", folder / "b-copied", fail_over="psi-inputs=0.25")
        assert report.alarms[0].where.endswith(names(FEATURES)[MOVED])
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": round(peak_mb(), 1),
    }


def in_a_process(folder: Path, what: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--measure", what]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Make the runs, and measure in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=2)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="Where the runs are, or are made and kept.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", help="One measurement, as JSON.")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.folder, options.measure)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(exist_ok=True)
        make(folder, options.rows, options.files)
        for night in ("a", "b"):
            copy(folder, night, options.copies)
        whats = ("pyarrow", "compare")
        turns = [{what: in_a_process(folder, what) for what in whats} for _ in range(options.repeats)]
    found: dict[str, Any] = {
        "rows": options.rows * options.copies,
        "features": FEATURES,
        "cores": len(os.sched_getaffinity(0)),
    }
    for what in whats:
        found[what] = {key: statistics.median(turn[what][key] for turn in turns) for key in turns[0][what]}
    for key in ("seconds", "cpu_seconds"):
        found[f"ratio_{key}"] = round(found["compare"][key] / found["pyarrow"][key], 2)
    print(json.dumps(found, indent=2))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
