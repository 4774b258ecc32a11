"""Runs whose rows have groups, and their truth beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle

ROWS = 400


def table_of_groups() -> pa.Table:
    """Rows of the linear model: a column of categories with one small group and a missing one, an age, keys, truth."""
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(ROWS, 3))
    sex = np.where(rng.random(ROWS) < 0.4, "f", "m").astype(object)
    sex[:9] = "x"
    sex[9:12] = None
    truth = np.where(rows[:, 1] + rng.normal(size=ROWS) > 0.2, "yes", "no").astype(object)
    truth[20:40] = None
    return pa.table(
        {
            "id": np.arange(ROWS),
            "sex": pa.array(sex.tolist(), pa.string()),
            "age": rng.integers(18, 80, ROWS).astype(np.int16),
            "outcome": pa.array(truth.tolist(), pa.string()),
            **dict(zip("abc", rows.T, strict=True)),
        }
    )


@pytest.fixture(scope="session")
def grouped_table() -> pa.Table:
    return table_of_groups()


@pytest.fixture(scope="session")
def score_groups(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Score tables, by default with the linear model; returns the output."""

    def score(*tables: pa.Table, of: Path | None = None, **settings: Any) -> Path:
        folder = tmp_path_factory.mktemp("grouped")
        for i, table in enumerate(tables):
            pq.write_table(table, folder / f"{i}.parquet", row_group_size=150)
        inputs = tuple(str(folder / f"{i}.parquet") for i in range(len(tables)))
        job = JobSettings(inputs=inputs, out=folder / "out", device="cpu", **settings)
        Job(Bundle.read(of or bundle), job).run()
        return folder / "out"

    return score


@pytest.fixture(scope="session")
def grouped_run(score_groups: Callable[..., Path], grouped_table: pa.Table) -> Path:
    """A run that kept everything, in four parts."""
    return score_groups(
        grouped_table,
        keep=("id", "sex", "outcome"),
        methods=("input-x-gradient",),
        explain_target="all",
        batch_rows=64,
        part_rows=128,
    )
