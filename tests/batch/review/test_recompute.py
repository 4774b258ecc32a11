"""One explanation compared with itself: what rounding may separate, and what not."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from whyport.batch.methods.positions import Positions
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import SOURCE_ROW, ExplanationColumns
from whyport.batch.output.layouts import ListLayout
from whyport.batch.review.recompute import Deviations, ExplanationComparison
from whyport.runtime.attribution import completeness_errors
from whyport.runtime.errors import AuditError

ROWS, CELLS = 50, 4096
COLUMNS = ExplanationColumns("deepshap", None, "", "", "explained_target")


def compared(folder: Path, size: float, off: float = 0.0) -> Deviations:
    """The comparison of rows as a run stores them, whose completeness errors are off by a number."""
    rng = np.random.default_rng(0)
    values: NDArray[np.float32] = (size * rng.standard_normal((ROWS, CELLS))).astype(np.float32)
    base = rng.standard_normal(ROWS)
    score = (base + values.sum(axis=1, dtype=np.float64)).astype(np.float32)
    errors = completeness_errors(values, score.astype(np.float64) - base)
    layout = ListLayout(Positions(tuple(f"cell{i}" for i in range(CELLS))))
    columns = {
        SOURCE_ROW: pa.array(np.arange(ROWS)),
        COLUMNS.score: pa.array(score),
        COLUMNS.base_value: pa.array(base),
        COLUMNS.completeness_error: pa.array(errors + off),
        "attribution": layout.arrays(values)[0],
    }
    pq.write_table(pa.table(columns), folder / "part.parquet")
    stored = pq.read_table(folder / "part.parquet")
    comparison = ExplanationComparison(layout, {"outputs": 1e-4, "gradients": 1e-4}, ExplainSettings())
    return comparison.compare(
        COLUMNS, stored, stored, {"attribution": values}, np.abs(score.astype(np.float64)), "part.parquet"
    )


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_sum_of_thousands_of_cells_is_not_taken_for_a_deviation(size: float, tmp_path: Path) -> None:
    """Cells of both signs, whose magnitudes add up to fifty times their sum."""
    assert compared(tmp_path, size).explained == ROWS


def test_a_completeness_error_that_is_off_is_named_among_thousands_of_cells(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"completeness_error: computed again it comes out different, rows '0'"):
        compared(tmp_path, 1.0, off=1e-3)
