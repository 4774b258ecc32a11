"""Quantities in a small unit are explained, and proved, as well as in a large one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from support.forging import forge, with_column
from whyport import audit, export, run
from whyport.batch.methods.scale import score_scale
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import AuditError
from whyport.runtime.task import Classification, Regression

NAMES = ["a", "b", "c"]
ROWS = np.random.default_rng(6).normal(size=(40, 3)).astype(np.float32)
LOSS = 2.0**-24


def network(scale: float) -> torch.nn.Module:
    torch.manual_seed(3)
    made = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    with torch.no_grad():
        made[2].weight.mul_(scale)
        made[2].bias.mul_(scale)
    return made


def grams() -> torch.nn.Module:
    return network(1.0)


def tons() -> torch.nn.Module:
    """The same, in a unit 2^24 times as large: every number has the same digits."""
    return network(LOSS)


def scored(folder: Path, unit: str) -> tuple[Path, pd.DataFrame]:
    pd.DataFrame(ROWS, columns=NAMES).to_parquet(folder / "rows.parquet")
    options: dict[str, Any] = {"task": "regression", "background": 10, "explain_references": 0}
    export(f"{__name__}:{unit}", folder / "rows.parquet", folder / unit, **options)
    out = folder / f"{unit}_run"
    methods = ["shapley", "integrated-gradients", "gradient"]
    run(folder / unit, [folder / "rows.parquet"], out, explain=methods, max_evaluations=50, device="cpu")
    return out, pq.read_table(sorted(out.glob("*.parquet"))).to_pandas()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    return scored(tmp_path_factory.mktemp("tons"), "tons")


def test_rows_converge_alike_in_every_unit(tmp_path: Path, small: tuple[Path, pd.DataFrame]) -> None:
    _, large = scored(tmp_path, "grams")
    for method in ("shapley", "integrated-gradients"):
        assert large[f"{method}.evaluations"].nunique() > 1 or not large[f"{method}.converged"].all()
        for kind in ("converged", "evaluations"):
            assert small[1][f"{method}.{kind}"].tolist() == large[f"{method}.{kind}"].tolist(), method
        for name in NAMES:
            column = f"{method}.attribution.{name}"
            np.testing.assert_allclose(small[1][column] / LOSS, large[column], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "column",
    ["prediction", "score", *(f"{name}.attribution.b" for name in ("shapley", "integrated-gradients", "gradient"))],
)
def test_a_forged_quantity_in_a_small_unit_is_found(column: str, small: tuple[Path, pd.DataFrame]) -> None:
    out, table = small
    audit(out, sample=40)
    part = next(out.glob("*.parquet"))
    before, report = part.read_bytes(), (out / "_report.json").read_bytes()
    spread = float(table[column].std()) or LOSS
    forge(out, with_column(column, lambda values: [value + spread for value in values]), part.name)
    with pytest.raises(AuditError):
        audit(out, sample=40)
    part.write_bytes(before)
    (out / "_report.json").write_bytes(report)


def test_the_scale_is_the_spread_over_the_weighted_references() -> None:
    rows = np.array([[1, 0], [3, 0], [9, 0]], dtype=np.float32)
    references = References(rows, np.array([0.25, 0.75, 0.0]))

    def scores(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([rows[:, 0], 1000 * rows[:, 0], rows[:, 1], rows[:, 1] + 5], axis=1)

    deviation = np.sqrt(0.25 * 0.75) * 2
    expected = [deviation, 1000 * deviation, np.finfo(np.float32).tiny, 5 * np.finfo(np.float32).eps]
    got = score_scale(Regression(("a", "b", "c", "d")), references, scores)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert score_scale(Classification(("no", "yes")), references, scores).tolist() == [1, 1]
