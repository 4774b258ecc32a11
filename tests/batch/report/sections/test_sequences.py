"""The report of runs over a sequence and a table: heat maps, series, drift by feature, and sums."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.sequence_bundles import CELLS, ROWS, STATIC, STEPS, VALUES, WIDTH
from whyport.batch.report.figure_data import FigureData
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.drift import MOVED
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.page import sections_of
from whyport.batch.report.picture import Picture


def pictures(view: View) -> dict[str, Picture]:
    found = {picture.key: picture for section in sections_of(view, 20) for picture in section.pictures}
    data = FigureData()  # whose columns are of one length
    for key, picture in found.items():
        data.add(key, picture.data())
    return found


@pytest.fixture(scope="module")
def moved(sequence_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over rows whose pressure has moved, of which one row's list is too short."""
    folder = tmp_path_factory.mktemp("moved")
    values = (VALUES + np.float32([0, 2, 0])).tolist()
    values[5] = values[5][:2]
    columns = {"vitals": pa.array(values), "age": STATIC[:, 0], "dose": STATIC[:, 1]}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    whyport.run(sequence_bundle, folder / "rows.parquet", folder / "out", explain="deepshap")
    return folder / "out"


def test_cells_have_heat_maps_and_series_and_drift_is_by_feature(moved: Path) -> None:
    view = gather(ReportSettings(moved, rows=(3,)))
    assert view.inputs is not None
    drift = {each.name: each for each in view.inputs.features}
    assert set(drift) == {"hr", "bp", "t", "age", "dose"}
    assert [name for name, each in drift.items() if each.index >= MOVED] == ["bp"]
    assert drift["hr"].missing_after == pytest.approx(1 / ROWS)
    assert {each.name for each in view.attributions["deepshap"].features} == set(drift)
    np.testing.assert_array_equal(view.cases[0].features[:18].reshape(STEPS, WIDTH), VALUES[3] + np.float32([0, 2, 0]))
    assert view.cases[0].values["vitals[2].hr"] == f"{VALUES[3, 2, 0]:.4g}"

    found = pictures(view)
    stored = pq.read_table(next(moved.glob("part*.parquet")))
    shares = np.abs(stored["attribution.vitals"].combine_chunks().to_numpy_ndarray().astype(np.float64)).mean(axis=0)
    t, k = np.unravel_index(shares.argmax(), shares.shape)
    heat = found["heat-deepshap-vitals"]
    assert heat.alt.startswith(f"Strongest in vitals: {('hr', 'bp', 't')[k]} at step {t} {shares[t, k]:.3g}, ")
    np.testing.assert_allclose(heat.data()["mean |attribution|"], shares.ravel())
    with drawing():
        drawn = heat.draw().axes[2].images[0].get_array()
        np.testing.assert_allclose(drawn, shares.T)
        own = found["heat-vitals-0-predicted"].draw().axes[2].images[0].get_array()
        np.testing.assert_allclose(own.T.ravel(), view.cases[0].explanations[0].values[:18])
        assert len(found["series-vitals-0-predicted"].draw().axes) == WIDTH + 1


@pytest.mark.parametrize(("per", "reduction"), [("feature", "sum"), ("step", "abs")])
def test_runs_of_sums_have_their_own_names_and_no_heat_map(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path, per: str, reduction: str
) -> None:
    out = tmp_path / "out"
    whyport.run(sequence_bundle, sequence_rows, out, explain="deepshap", per=per, reduction=reduction)
    view = gather(ReportSettings(out, rows=(3,)))
    found = pictures(view)
    assert not any("heat" in key or "series" in key for key in found)
    names = {each.name for each in view.attributions["deepshap"].features}
    assert names == {*(["hr", "bp", "t"] if per == "feature" else [f"vitals[{i}]" for i in range(6)]), "age", "dose"}
    captions = " ".join(picture.caption for picture in found.values())
    assert "Sums of cells have no colour." in captions
    assert "roups of columns" not in captions
    assert ("speaks for the class" in captions) == (reduction == "sum")
    assert ("waterfall-0-predicted" in found) == (reduction == "sum")


def test_objects_of_shap_have_the_values_of_cells(moved: Path) -> None:
    made = next(iter(whyport.to_shap(moved).values()))
    assert made.feature_names == [*CELLS, "age", "dose"]
    stored = pq.read_table(next(moved.glob("part*.parquet")))
    rows = stored["source_row"].to_numpy()
    expected = {row: VALUES[row, 1, 2] for row in rows.tolist()}
    assert set(made.data[:, CELLS.index("vitals[1].t")].astype(np.float32)) <= set(expected.values())
    assert np.isfinite(made.data).all()


def test_objects_of_shap_know_the_columns_of_a_table_where_the_bundle_is_gone(
    sequence_bundle: Path, sequence_rows: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(sequence_bundle, tmp_path / "bundle"))
    whyport.run(copy, sequence_rows, tmp_path / "out", explain="deepshap", layout="list")
    shutil.rmtree(copy)
    made = next(iter(whyport.to_shap(tmp_path / "out").values()))
    assert np.isnan(made.data[:, :18]).all()
    assert set(made.data[:, 19].astype(np.float32)) <= set(STATIC[:, 1])
