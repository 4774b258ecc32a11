"""What the benchmarks time, beside what `whyport run` writes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from as_run import AsRun, added_memory, exported, opened
from whyport.runtime.bundle.references import References

OPTIONS = {"explain": "lime", "samples": 100, "layout": "list"}


@pytest.fixture
def rows(reference_bundle: Path, tmp_path: Path) -> Path:
    """Three rows of the bundle's background."""
    bundle = whyport.Bundle.read(reference_bundle)
    names, values = bundle.sidecar.column_names, References.read(bundle).rows[:3]
    pq.write_table(pa.table(dict(zip(names, values.T, strict=True))), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_shares_are_those_that_a_run_writes(reference_bundle: Path, rows: Path, tmp_path: Path) -> None:
    whyport.run(reference_bundle, rows, tmp_path / "out", **OPTIONS)
    written = np.array(pq.read_table(tmp_path / "out")["attribution"].to_pylist(), dtype=np.float32)
    found = AsRun.of(opened(whyport.Bundle.read(reference_bundle)), rows, OPTIONS)().attributions["lime"].values
    np.testing.assert_array_equal(found, written)


def test_memory_is_of_what_explaining_adds(reference_bundle: Path, rows: Path) -> None:
    assert 0 <= added_memory(whyport.Bundle.read(reference_bundle), rows, OPTIONS) < 200


def test_a_bundle_that_is_there_is_not_exported_again(reference_bundle: Path) -> None:
    assert (
        exported("nowhere:make", Path("no-sample"), reference_bundle).digest
        == whyport.Bundle.read(reference_bundle).digest
    )
