"""A trivial model for tables of any width, and such tables, which repeat the breast-cancer table's columns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from whyport.cli import main as whyport
from whyport.runtime.bundle.folder import Bundle

# The size of a row group, by default: the larger of the two.
CHUNK_VALUES = 1 << 22
CHUNK_ROWS = 1 << 13


def names(features: int) -> list[str]:
    """The column names of a table with `features` features."""
    columns = load_breast_cancer().feature_names
    return [f"{columns[j % len(columns)]} {j // len(columns)}" for j in range(features)]


def train(folder: Path, features: int, hidden: int = 64) -> Bundle:
    """Train a small MLP on `features` features and write its bundle; 64 hidden units are the default architecture."""
    data = load_breast_cancer()
    table = _table(names(features), data.data, np.random.default_rng(0))
    pq.write_table(table.append_column("diagnosis", pa.array(data.target)), folder / "train.parquet")
    arguments = ["train", folder / "train.parquet", "--target", "diagnosis", "--out", folder / "bundle"]
    arguments += ["--architecture", "mlp", "--epochs", 3, "--set", f"hidden={hidden}"]
    CliRunner().invoke(whyport, [str(a) for a in arguments], catch_exceptions=False)
    return Bundle.read(folder / "bundle")


def write_rows(path: Path, features: int, rows: int, row_group_rows: int | None = None) -> None:
    """Write a Parquet file with rows drawn from the table, each value off by about 2 %, one row group at a time.

    Args:
        path: the file.
        features: the number of columns.
        rows: the number of rows.
        row_group_rows: rows per row group; one row group at a time is in memory.
    """
    columns, data = names(features), load_breast_cancer().data
    generator = np.random.default_rng(1)
    chunk = row_group_rows or max(CHUNK_VALUES // features, CHUNK_ROWS)
    schema = pa.schema([(name, pa.float64()) for name in columns])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, chunk):
            drawn = data[generator.integers(len(data), size=min(chunk, rows - start))]
            writer.write_table(_table(columns, drawn, generator), row_group_size=chunk)


def _table(columns: Sequence[str], rows: NDArray[np.float64], generator: np.random.Generator) -> pa.Table:
    width = rows.shape[1]
    values = [rows[:, j % width] * generator.normal(1, 0.02, size=len(rows)) for j in range(len(columns))]
    return pa.table(dict(zip(columns, values, strict=True)))
