"""Runs on clusters: their inputs, what they must leave, and what is killed meanwhile."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from whyport.batch.run import description
from whyport.runtime.errors import DataError, JobError

if TYPE_CHECKING:
    import psutil
    from pyspark.sql import SparkSession

FILES, ROWS = 3, 600
OPTIONS: dict[str, Any] = {"explain": "gradient", "keep": "id", "part_rows": 50, "batch_rows": 50, "device": "cpu"}
"""Thirty-seven parts, one of them of rejected rows."""


def write_rows(bundle: Path, path: Path, rows: int, seed: int) -> None:
    """Write rows of a bundle's features; of seed 0, row 7 lacks a value."""
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {"id": [f"{seed}-{i}" for i in range(rows)]}
    for feature in whyport.Bundle.read(bundle).sidecar.features:
        columns[feature.name] = generator.normal(1.0, 1.0, rows)
    if not seed:
        columns[feature.name][7] = np.nan
    pq.write_table(pa.table(columns), path, row_group_size=250)


def contents(out: Path) -> dict[str, bytes]:
    """Every part by its name."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("part*.parquet"))}


def check_whole(out: Path, expected: dict[str, bytes]) -> None:
    """Assert that a finished run has these very parts, and nothing else."""
    assert contents(out) == expected
    names = {path.name for path in out.iterdir() if not path.name.startswith("part-")}
    assert names == {"_SUCCESS", "_job.json", "_report.json", "_rejected"}
    rejected = {path.name for path in (out / "_rejected").iterdir()}
    assert rejected == {name.split("/")[1] for name in expected if "/" in name}


def processes(word: str) -> "list[psutil.Process]":
    """The processes below this one that have a word in their command line, or in their title."""
    import psutil  # in the environment of engines alone

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            pass
    return found


def spark_session(**settings: str) -> "SparkSession":
    """Two executors of one core each, in processes of their own, that only this machine can reach."""
    from pyspark.sql import SparkSession  # in the environment of engines alone

    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("whyport's tests")
    own = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "700m",
        "spark.executor.memory": "700m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    session = builder.config(map=own | settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def once(after: int, act: Callable[[], None]) -> Callable[[int, int], None]:
    """A progress callback that does something once, when more than so many rows are done."""
    is_done = False

    def progress(done: int, total: int) -> None:
        nonlocal is_done
        if done > after and not is_done:
            is_done = True
            act()

    return progress


def moments(count: int, seed: int) -> list[int]:
    """Numbers of rows after which something is killed."""
    return random.Random(seed).sample(range(FILES * ROWS * 3 // 4), count)


def check_resumed_elsewhere(on: str, bundle: Path, inputs: Path, expected: dict[str, bytes], folder: Path) -> None:
    """Assert that a run which ends early is resumed by this process, and one of this process by the executor."""
    for first, second in ((on, "local"), ("local", on)):
        out = folder / first

        def stop() -> None:
            raise InterruptedError("enough")

        with pytest.raises(InterruptedError):
            whyport.run(bundle, inputs, out, on=first, progress=once(400, stop), **OPTIONS)
        assert 0 < len(contents(out)) <= len(expected)
        assert not (out / "_SUCCESS").exists()
        assert not list(out.glob("_workers-*"))
        whyport.run(bundle, inputs, out, on=second, **OPTIONS)
        check_whole(out, expected)


def check_other_versions_refused(
    on: str, bundle: Path, inputs: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that workers with other versions than this process are refused, and one of them is named."""
    own = description._versions
    monkeypatch.setattr(description, "_versions", lambda settings: own(settings) | {"numpy": "0.1"})
    with pytest.raises(JobError) as error:
        whyport.run(bundle, inputs, folder / "out", on=on, **OPTIONS)
    assert 'versions.numpy: "0.1" there, "' in str(error.value)
    assert ", process " in str(error.value)


def check_bad_file_told(on: str, policy: str, bundle: Path, inputs: Path, folder: Path) -> None:
    """Assert that a file with a bad row in its last part has the same consequences as in this process."""
    (folder / "data").mkdir()
    for path in inputs.iterdir():
        table = pq.read_table(path)
        if path.stem == "1":
            values = [*[1.0] * (ROWS - 1), None]
            table = table.set_column(table.schema.get_field_index("mean area"), "mean area", pa.array(values))
        pq.write_table(table.slice(20), folder / "data" / path.name)
    options = OPTIONS | {"on_bad_row": "fail", "on_bad_file": policy}
    told = []
    for where in ("local", on):
        try:
            told.append(whyport.run(bundle, folder / "data", folder / where, on=where, **options).skipped)
        except DataError as error:
            told.append(str(error))
    assert told[0] == told[1]
    assert "1.parquet" in str(told[0])
    made, expected = contents(folder / on), contents(folder / "local")
    assert policy == "fail" or made == expected
    assert not list((folder / on).rglob(".*.tmp"))
