"""What a run over a sequence and a table writes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.sequence_bundles import CELLS, ROWS, STEPS, WIDTH
from whyport.batch.output.layouts import positions_of
from whyport.runtime.errors import UsageError


def table_of(out: Path) -> pa.Table:
    return pq.read_table(next(out.glob("part*.parquet")))


def cells_of(table: pa.Table) -> np.ndarray:
    """The cells of the sequence, [N, 6, 3], of a run with tensors."""
    values: np.ndarray = table["attribution.vitals"].combine_chunks().to_numpy_ndarray()
    return values


@pytest.fixture(scope="session")
def run(sequence_bundle: Path, sequence_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sequence_output") / "cells"
    whyport.run(sequence_bundle, sequence_rows, out, explain="deepshap")
    return out


def test_each_sequence_is_a_tensor_and_each_column_of_a_table_a_column(
    run: Path, sequence_bundle: Path, sequence_rows: Path, tmp_path: Path
) -> None:
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "list", explain="deepshap", layout="list")
    table, lists = table_of(run), np.array(table_of(tmp_path / "list")["attribution"].to_pylist(), dtype=np.float32)

    kind = table.schema.field("attribution.vitals").type
    assert kind == pa.fixed_shape_tensor(pa.float32(), (STEPS, WIDTH), dim_names=["time", "feature"])
    np.testing.assert_array_equal(cells_of(table), lists[:, :18].reshape(ROWS, STEPS, WIDTH))
    np.testing.assert_array_equal(table["attribution.age"].to_numpy(), lists[:, 18])
    assert positions_of(table.schema).names == (*CELLS, "age", "dose")
    whyport.audit(run)


def test_a_row_that_is_not_explained_has_no_tensor(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", explain="deepshap", explain_fraction=0.3)
    table = table_of(tmp_path / "out")
    assert table["attribution.vitals"].is_null().to_pylist() == table["score"].is_null().to_pylist()
    assert 0 < table["score"].null_count < ROWS
    whyport.audit(tmp_path / "out")


def test_groups_of_cells_are_columns(sequence_bundle: Path, sequence_rows: Path, tmp_path: Path) -> None:
    options = {"explain": "deepshap", "players": {"course": ["vitals"]}}
    whyport.run(sequence_bundle, sequence_rows, tmp_path / "out", **options)
    names = [name for name in table_of(tmp_path / "out").schema.names if name.startswith("attribution")]
    assert names == ["attribution.course", "attribution.age", "attribution.dose"]
    with pytest.raises(UsageError, match="layout: expected auto, wide or list, got 'tensor'"):
        whyport.run(sequence_bundle, sequence_rows, tmp_path / "other", layout="tensor", **options)


def test_the_memory_of_a_batch_counts_the_values_of_lists(sequence_bundle: Path, sequence_rows: Path) -> None:
    from whyport.batch.run.plan import Plan
    from whyport.batch.settings import JobSettings

    plan = Plan.make(
        whyport.Bundle.read(sequence_bundle), JobSettings((str(sequence_rows),), Path("out"), keep=("id",))
    )
    assert plan.values_per_row == STEPS * WIDTH + 2 + 1 + plan.output.values_per_row
