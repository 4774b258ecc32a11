"""One explanation compared with itself: what rounding may separate, and what not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.positions import Positions
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import SOURCE_ROW, ExplanationColumns
from whyport.batch.output.layouts import ListLayout
from whyport.batch.review.comparison import Deviations, ExplanationComparison
from whyport.batch.review.recompute import Recomputer
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
        COLUMNS.evaluations: pa.array(np.ones(ROWS, dtype=np.int32)),
        "attribution": layout.arrays(values)[0],
    }
    pq.write_table(pa.table(columns), folder / "part.parquet")
    stored = pq.read_table(folder / "part.parquet")
    comparison = ExplanationComparison(layout, {"outputs": 1e-4, "gradients": 1e-4}, ExplainSettings())
    return comparison.compare(
        COLUMNS, stored, stored, {"attribution": values}, np.abs(score.astype(np.float64)), "part.parquet", not_asked
    )


def not_asked() -> NDArray[np.float64]:
    """What is within rounding of rows that are the same."""
    raise AssertionError("nothing deviates")


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_sum_of_thousands_of_cells_is_not_taken_for_a_deviation(size: float, tmp_path: Path) -> None:
    """Cells of both signs, whose magnitudes add up to fifty times their sum."""
    assert compared(tmp_path, size).explained == ROWS


SAW = """
import torch

class Saw(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, rows):
        phase = rows[:, :1] * 0.75e7  # half a tooth between the two sides of a row
        return self.layer(rows) + (phase - torch.floor(phase)).clamp(max=0.5) * torch.tensor([1e-7, -1e-7])
"""


@pytest.mark.parametrize("method", ["gradient", "input-x-gradient"])
def test_gradients_at_bends_are_audited_within_what_rounding_decides(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "saw.py").write_text(SAW)
    monkeypatch.syspath_prepend(tmp_path)
    rows = pd.DataFrame(np.random.default_rng(0).uniform(-0.2, 0.2, size=(40, 3)), columns=list("abc"))
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    whyport.export("saw:Saw", tmp_path / "rows.parquet", tmp_path / "bundle", explain_references=0)
    whyport.run(tmp_path / "bundle", tmp_path / "rows.parquet", tmp_path / "out", explain=method)
    here = TorchScriptModel.gradients

    def elsewhere(
        self: TorchScriptModel, cells: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """On a machine that rounds otherwise."""
        return here(self, np.nextafter(cells, np.float32(np.inf)), targets)

    monkeypatch.setattr(TorchScriptModel, "gradients", elsewhere)
    whyport.audit(tmp_path / "out", sample=40)
    with monkeypatch.context() as without:
        without.setattr(Recomputer, "_change_nearby", lambda *_: np.zeros(1))
        with pytest.raises(AuditError, match=f"{method}: attributions: computed again it comes out different"):
            whyport.audit(tmp_path / "out", sample=40)

    def another(
        self: TorchScriptModel, cells: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        gradients, scores = here(self, cells, targets)
        return gradients + np.float32([0, 0.01, 0]), scores  # of a feature without bends

    monkeypatch.setattr(TorchScriptModel, "gradients", another)
    with pytest.raises(AuditError, match=f"{method}: attributions: computed again it comes out different"):
        whyport.audit(tmp_path / "out", sample=40)


def test_a_completeness_error_that_is_off_is_named_among_thousands_of_cells(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"completeness_error: computed again it comes out different, rows '0'"):
        compared(tmp_path, 1.0, off=1e-3)
