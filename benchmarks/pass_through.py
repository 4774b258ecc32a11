"""`whyport run` with a trivial model, beside only pyarrow, which reads and writes the same columns.

pyarrow runs in two ways, and both read the features and write output that was computed before:

- with its own defaults: a batch at a time or the whole table at once, whichever is faster;
- with the options, batches and row groups of the run, which a user would have to find.

The comparison favours pyarrow in that it opens only the file, and does not sync, count or check. It favours the run in
two points: pyarrow writes after it has read, where the run does both at once, and it is given texts as texts, where
the run has dictionaries. The CPU seconds leave the overlap out, so they are the stricter comparison.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.batch.output.writer import write_options
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.batch.source.decoding import BUFFER_BYTES, READ_OPTIONS
from wide_model import names, train, write_rows

VALUES = 120_000_000
MODELS = ((30, 8), (30, 64), (1000, 64), (5000, 64))
"""The number of features, and of units in each of the MLP's two hidden layers."""

Parts = list[list[pa.Table]]
"""The row groups of each part."""
Options = Callable[[pa.Schema], dict[str, Any]]
"""The options for writing a file with these columns."""


def measure_pass_through(folder: Path, features: int, hidden: int, repeats: int) -> dict[str, Any]:
    """Median rates on a table with `features` features, and the stages of the last run; makes the folder."""
    folder.mkdir()
    bundle, source, out = train(folder, features, hidden), folder / "rows.parquet", folder / "out"
    rows = VALUES // features
    write_rows(source, features, rows)
    settings = JobSettings(inputs=(str(source),), out=out, device="cpu", overwrite=True)
    batch_rows = settings.rows_per_batch(features)
    ways: dict[str, Callable[[Parts], None]] = {
        "pyarrow, batches": lambda parts: copy_batches(source, features, parts, folder),
        "pyarrow, whole tables": lambda parts: copy_tables(source, features, parts, folder),
        "pyarrow, options of the run": lambda parts: copy_as_run(source, features, batch_rows, parts, folder),
    }
    clocks: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("run", *ways)}
    for _ in range(repeats):
        started = now()
        report = Job(bundle, settings).run()
        clocks["run"].append(now() - started)
        parts = read_parts(out)
        for name, copy in ways.items():
            started = now()
            copy(parts)
            clocks[name].append(now() - started)
    medians = {name: np.median(taken, axis=0) for name, taken in clocks.items()}
    run, run_cpu = medians.pop("run")
    tuned, tuned_cpu = medians.pop("pyarrow, options of the run")
    plain = min(medians, key=lambda name: float(medians[name][0]))
    pyarrow, pyarrow_cpu = medians[plain]
    return {
        "features": features,
        "hidden": hidden,
        "rows": rows,
        "batch_rows": batch_rows,
        "rows_per_second": round(rows / run),
        "values_per_second": round(rows * features / run),
        "faster of pyarrow's ways": plain,
        "rows_per_second_pyarrow": round(rows / pyarrow),
        "rows_per_second_pyarrow_tuned": round(rows / tuned),
        "whyport run / pyarrow": round(float(pyarrow / run), 3),
        "whyport run / pyarrow with the run's options": round(float(tuned / run), 3),
        "cpu_seconds": round(float(run_cpu), 3),
        "cpu_seconds_pyarrow": round(float(pyarrow_cpu), 3),
        "cpu_seconds_pyarrow_tuned": round(float(tuned_cpu), 3),
        "seconds_by_stage": {name: round(value, 3) for name, value in report.performance.seconds.items()},
    }


def now() -> NDArray[np.float64]:
    """The wall clock, and this process's CPU clock over all cores; other work on the machine slows only the first."""
    return np.array([time.perf_counter(), time.process_time()])


def read_parts(out: Path) -> Parts:
    """Read a run's output."""
    files = [pq.ParquetFile(path) for path in sorted(out.glob("part-*.parquet"))]
    return [[file.read_row_group(i) for i in range(file.num_row_groups)] for file in files]


def copy_batches(source: Path, features: int, parts: Parts, folder: Path) -> None:
    """Read the features and write the parts, one batch and one row group at a time, with pyarrow's defaults."""
    with pq.ParquetFile(source) as file:
        _copy(file.iter_batches(columns=names(features)), parts, folder, lambda schema: {})


def copy_tables(source: Path, features: int, parts: Parts, folder: Path) -> None:
    """Read the features and write the parts, with the whole table in memory."""
    pq.read_table(source, columns=names(features))
    for i, groups in enumerate(parts):
        pq.write_table(pa.concat_tables(groups), folder / f"copy-{i}.parquet")


def copy_as_run(source: Path, features: int, batch_rows: int, parts: Parts, folder: Path) -> None:
    """Read the features and write the parts, with the options, batches and row groups of the run."""
    with pq.ParquetFile(source, buffer_size=BUFFER_BYTES, **READ_OPTIONS) as file:
        batches = file.iter_batches(batch_rows, columns=names(features))
        _copy(batches, parts, folder, write_options)


def _copy(batches: Iterator[pa.RecordBatch], parts: Parts, folder: Path, options: Options) -> None:
    """Write the parts, each row group as soon as its rows are read."""
    read = written = 0
    for i, groups in enumerate(parts):
        schema = groups[0].schema
        with pq.ParquetWriter(folder / f"copy-{i}.parquet", schema, **options(schema)) as writer:
            for group in groups:
                written += group.num_rows
                while read < written:
                    read += next(batches).num_rows
                writer.write_table(group, row_group_size=group.num_rows)
