from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from support.bundles import linear_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linear model on the features a, b, c."""
    return linear_bundle(tmp_path_factory.mktemp("batch") / "bundle")


@pytest.fixture(scope="session")
def mapped_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with feature maps and attention, so that every method can explain it."""
    return linear_bundle(tmp_path_factory.mktemp("batch") / "mapped", maps=True)


@pytest.fixture
def rows() -> NDArray[np.float64]:
    return np.random.default_rng(3).normal(size=(1000, 3))


@pytest.fixture
def table(rows: NDArray[np.float64]) -> pa.Table:
    columns = dict(zip("abc", rows.T, strict=True))
    return pa.table({"id": [f"r{i}" for i in range(len(rows))], **columns})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a table below the test's folder."""

    def write(table: pa.Table, name: str = "input.parquet", **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **options)
        return path

    return write
