"""Blocks for people's own pipelines, as docs/engines.md has them: Ray Data, Spark, Dask, Polars, DuckDB."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.clusters import FILES, ROWS
from support.pages import ROOT, blocks

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

TOLERANCE = 2e-6
"""Last bits depend on the rows that are computed together."""


@pytest.fixture(scope="module")
def expected(reference_bundle: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What a run gives for the rows that can be scored, by id."""
    out = tmp_path_factory.mktemp("expected") / "out"
    whyport.run(reference_bundle, inputs, out, explain="gradient", keep="id")
    return pq.read_table(out, columns=["id", "prediction", "probability.malignant", "attribution.mean area"])


def check(scored: pa.Table, expected: pa.Table) -> None:
    """Assert that every row of the inputs is there once, and scored as a run scores it."""
    assert scored.num_rows == FILES * ROWS
    problems = {row["id"]: row["problem"] for row in scored.select(["id", "problem"]).to_pylist() if row["problem"]}
    (problem,) = problems.values()
    assert problem.replace("null", "NaN") == "column 'worst fractal dimension': expected a finite number, got NaN"
    rows = {row["id"]: row for row in scored.to_pylist()}
    assert rows["0-7"]["prediction"] is None
    assert len(rows) == FILES * ROWS
    for row in expected.to_pylist():
        found = rows[row["id"]]
        assert found["prediction"] == row["prediction"]
        for name in ("probability.malignant", "attribution.mean area"):
            np.testing.assert_allclose(found[name], row[name], atol=TOLERANCE, rtol=1e-4)


def page(having: str) -> str:
    """The page's program that has a word."""
    (found,) = [each for each in blocks(ROOT / "docs" / "engines.md", "python") if having in each]
    return found


@pytest.fixture
def folder(reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle and the inputs by the page's names."""
    (tmp_path / "bundle").symlink_to(reference_bundle)
    (tmp_path / "data").symlink_to(inputs)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def carried_out(program: str) -> dict[str, Any]:
    """The names that a program leaves."""
    names: dict[str, Any] = {}
    exec(compile(program, "docs/engines.md", "exec"), names)
    return names


def test_polars(folder: Path, expected: pa.Table) -> None:
    check(carried_out(page("import polars"))["scored"].to_arrow(), expected)


def test_dask(folder: Path, expected: pa.Table) -> None:
    scored = carried_out(page("import dask"))["scored"].compute()
    check(pa.Table.from_pandas(scored, preserve_index=False), expected)


def test_duckdb(folder: Path, expected: pa.Table) -> None:
    carried_out(page("import duckdb"))
    check(pq.read_table("scored.parquet"), expected)


def test_ray_data(folder: Path, expected: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        names = carried_out(page("import ray"))
        check(pa.concat_tables(ray.get(names["scored"].to_arrow_refs())), expected)
    finally:
        ray.shutdown()


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def test_spark_frames(session: Any, folder: Path, expected: pa.Table) -> None:
    program = page("spark.score").replace('"data"', repr(str(folder / "data")))  # a session's folder is where it began
    scored = carried_out(program)["scored"]
    check(scored.toArrow(), expected)


@pytest.mark.parametrize("options", [{"layout": "list"}, {"top_k": 3}])
def test_spark_knows_every_layout(options: dict[str, Any], session: Any, folder: Path, inputs: Path) -> None:
    from whyport.executors import spark

    frame = session.read.parquet(str(inputs / "1.parquet")).limit(40)
    scored = spark.score(frame, "bundle", keep="id", explain="gradient", **options)
    assert scored.schema == spark.schema(frame, "bundle", keep="id", explain="gradient", **options)
    table = scored.toArrow()
    here = whyport.ArrowScorer("bundle", keep="id", explain="gradient", **options)(frame.toArrow())
    name = "top_attribution" if "top_k" in options else "attribution"
    np.testing.assert_allclose(table[name].to_pylist(), here[name].to_pylist(), atol=TOLERANCE, rtol=1e-4)
