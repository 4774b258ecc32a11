"""Missing numbers that a model itself has a way with, through every command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from support.command import Whyport
from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.export import export_bundle
from whyport.exporter.kinds.sklearn import SklearnEstimator
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

ROWS = 200


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(ROWS, 3)).astype(np.float32), columns=["a", "b", "c"])
    made.loc[rng.random(ROWS) < 0.2, "a"] = np.nan
    return made


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> HistGradientBoostingRegressor:
    target = frame["a"].fillna(3) + 2 * frame["b"]
    return HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(frame, target)


@pytest.fixture(scope="module")
def bundle(
    frame: pd.DataFrame, model: HistGradientBoostingRegressor, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    folder = tmp_path_factory.mktemp("missing")
    frame.to_parquet(folder / "rows.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SklearnEstimator, "native_rows", 2_000)
        patch.setattr("whyport.exporter.kinds.factory.make_model", lambda source, seed: model)
        source = ModelSource("mine:model", folder / "rows.parquet", background=BackgroundChoice(50, summary=0))
        return export_bundle(source, Target(folder / "bundle"))


@pytest.fixture(scope="module")
def run(bundle: Bundle, whyport: Whyport) -> Path:
    out = bundle.path.parent / "run"
    whyport(
        "run",
        bundle.path,
        bundle.path.parent / "rows.parquet",
        "--out",
        out,
        "--explain",
        "treeshap",
        "--explain",
        "shapley",
    )
    return out


def test_references_may_lack_what_the_model_may(bundle: Bundle) -> None:
    assert {column.name: column.missing for column in bundle.sidecar.columns}["a"] == "model"
    rows = References.read(bundle).rows
    assert np.isnan(rows[:, 0]).any()
    assert not np.isnan(rows[:, 1:]).any()


def _shares(table: pd.DataFrame, method: str) -> np.ndarray:
    names = [name for name in table.columns if name.startswith(f"{method}.attribution.")]
    return table[names].to_numpy()


def test_rows_with_missing_numbers_are_scored_and_explained(
    run: Path, frame: pd.DataFrame, model: HistGradientBoostingRegressor
) -> None:
    table = pq.read_table(run).to_pandas()
    assert len(table) == ROWS
    assert (table["imputed_count"] == 0).all()
    np.testing.assert_allclose(table["prediction"], model.predict(frame), rtol=1e-5, atol=1e-5)
    assert not (run / "_rejected").exists()
    shares = [_shares(table, method) for method in ("treeshap", "shapley")]
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-4)
    assert shares[0].shape == (ROWS, 3)
    assert np.isfinite(shares[0]).all()


def test_the_run_is_proved_shown_and_drawn(run: Path, frame: pd.DataFrame, whyport: Whyport, tmp_path: Path) -> None:
    whyport("audit", run)
    row = int(np.flatnonzero(frame["a"].isna())[0])
    assert "missing" in whyport("show", run, "--row", row).output
    whyport("report", run, "--out", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size
