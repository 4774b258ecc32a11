"""What decides whether a row is explained is what the output says of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.rows import PredictedRows
from whyport.batch.run.job import Job
from whyport.batch.scoring.selection import KnownColumns
from whyport.batch.settings import JobSettings
from whyport.batch.targets import TargetChoice
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.task import Classification


@pytest.mark.parametrize("choice", ["predicted", "all", "yes", "label:truth"])
def test_the_known_columns_are_those_of_the_output(
    bundle: Path,
    table: pa.Table,
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
) -> None:
    truth = pa.array(["no", "yes", "other", None] * 250)
    source = write(table.append_column("truth", truth))
    task = Classification(("no", "yes"))
    known = KnownColumns(task, TargetChoice.parse(choice, task))
    schema = known.schema([pa.field("id", pa.string())])
    seen: list[pa.Table] = []

    def record(plan: object, rows: PredictedRows) -> None:
        seen.append(pa.table([known.array(name, rows) for name in schema.names], schema=schema))

    monkeypatch.setattr("whyport.batch.run.plan.Plan.explained", record)
    options = {"keep": ("id",), "methods": ("gradient",), "explain_target": choice, "batch_rows": 300, "device": "cpu"}
    job = JobSettings(inputs=(str(source),), out=tmp_path / "out", **options)
    Job(Bundle.read(bundle), job).run()
    (part,) = job.out.glob("part-*")
    out = pq.ParquetFile(part).read(columns=schema.names)
    assert out.schema.remove_metadata().equals(schema)
    got = pa.concat_tables(seen)
    assert got.num_rows == (500 if choice.startswith("label") else 1000)
    for name in schema.names:
        np.testing.assert_array_equal(np.array(got[name]), np.array(out[name]), err_msg=name)
