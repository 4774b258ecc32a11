"""`whyport run` with a trivial model, beside what pyarrow alone needs to read and write the same columns.

The baseline is a loop of `iter_batches` over the features, and of writes of output that was computed before, with the
same columns, options, batches and row groups. Arrow's threads read its columns side by side, as they do in the run. In
its favour: it opens nothing but the file, syncs nothing, counts nothing and checks nothing. In the run's: it writes
after it has read, where the run does both at once, and it is given texts as texts, of which the run has dictionaries.
The seconds of all cores leave the overlap out, so they are the stricter comparison.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from wide_model import names, train, write_rows

from batch.job import Job
from batch.settings import JobSettings
from batch.sink import write_options
from batch.source import read_options

VALUES = 60_000_000
MODELS = ((30, 8), (30, 64), (1000, 64), (5000, 64))
"""Features, and units of each of the MLP's two hidden layers."""

Parts = list[list[pa.Table]]
"""The row groups of each part."""


def measure_pass_through(folder: Path, features: int, hidden: int, repeats: int) -> dict[str, Any]:
    """Median rates over a table of so many features, and the stages of the last run; makes the folder."""
    folder.mkdir()
    bundle, source, out = train(folder, features, hidden), folder / "rows.parquet", folder / "out"
    rows = VALUES // features
    write_rows(source, features, rows)
    settings = JobSettings(inputs=(str(source),), out=out, device="cpu", overwrite=True)
    batch_rows = settings.rows_a_batch(features)
    clocks: dict[str, list[NDArray[np.float64]]] = {"run": [], "pyarrow": []}
    for _ in range(repeats):
        started = now()
        report = Job(bundle, settings).run()
        clocks["run"].append(now() - started)
        parts = read_parts(out)
        started = now()
        copy(source, features, batch_rows, parts, folder)
        clocks["pyarrow"].append(now() - started)
    (run, run_cpu), (pyarrow, pyarrow_cpu) = (np.median(taken, axis=0) for taken in clocks.values())
    return {
        "features": features,
        "hidden": hidden,
        "rows": rows,
        "batch_rows": batch_rows,
        "rows_per_second": round(rows / run),
        "values_per_second": round(rows * features / run),
        "rows_per_second_pyarrow": round(rows / pyarrow),
        "whyport run / pyarrow": round(float(pyarrow / run), 3),
        "whyport run / pyarrow, by seconds of all cores": round(float(pyarrow_cpu / run_cpu), 3),
        "cpu_seconds": round(float(run_cpu), 3),
        "cpu_seconds_pyarrow": round(float(pyarrow_cpu), 3),
        "seconds_by_stage": {name: round(value, 3) for name, value in report.performance.seconds.items()},
    }


def now() -> NDArray[np.float64]:
    """The clock on the wall, and that of all cores this process has used; other work on the machine slows the first."""
    return np.array([time.perf_counter(), time.process_time()])


def read_parts(out: Path) -> Parts:
    """A run's output."""
    files = [pq.ParquetFile(path) for path in sorted(out.glob("part-*.parquet"))]
    return [[file.read_row_group(i) for i in range(file.num_row_groups)] for file in files]


def copy(source: Path, features: int, batch_rows: int, parts: Parts, folder: Path) -> None:
    """Read the features, a batch at a time, and write the parts, a row group once its rows were read."""
    with pq.ParquetFile(source, **read_options(features)) as file:
        batches = file.iter_batches(batch_rows, columns=names(features))
        read = written = 0
        for i, groups in enumerate(parts):
            schema = groups[0].schema
            with pq.ParquetWriter(folder / f"copy-{i}.parquet", schema, **write_options(schema)) as writer:
                for group in groups:
                    written += group.num_rows
                    while read < written:
                        read += next(batches).num_rows
                    writer.write_table(group, row_group_size=group.num_rows)
