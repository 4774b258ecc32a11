"""The report's section on pictures: overlays by target, their difference, and the mean by place."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import whyport
from support.image_bundle import SIZE
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.page import sections_of
from whyport.batch.report.sections.pictures import pictures_section
from whyport.runtime.session import Session


@pytest.fixture(scope="module")
def view(image_bundle: Path, image_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> View:
    out = tmp_path_factory.mktemp("pictures") / "out"
    whyport.run(image_bundle, image_rows, out, explain="deepshap", explain_target="all")
    return gather(ReportSettings(out, rows=(3,)))


def test_a_row_has_its_picture_and_the_shares_of_each_target_over_it(view: View, image_rows: Path) -> None:
    section = pictures_section(view)
    assert section is not None
    (picture,) = (each for each in section.pictures if each.key == "picture-photo-0")
    with drawing():
        panes = picture.draw().axes
        (row,) = Session(view.bundle, "cpu").matrix(pq.read_table(image_rows).slice(3, 1))
        np.testing.assert_array_equal(panes[0].images[0].get_array(), row.reshape(*SIZE, 3))
        first, second = (each.values.reshape(SIZE) for each in view.cases[0].explanations)
        drawn = [[axes.images[-1].get_array() for axes in panes[5 * k + 1 : 5 * k + 5]] for k in range(3)]
    data = picture.data()
    np.testing.assert_allclose(list(data.values())[2:], [first.ravel(), second.ravel()])
    assert (data["y"][-1] + 1, data["x"][-1] + 1) == SIZE
    for shown, grid in zip(drawn, (first, second, first - second), strict=True):
        np.testing.assert_allclose(shown[0], grid)
        np.testing.assert_allclose(shown[1] + shown[2], grid)
        np.testing.assert_allclose(shown[3], np.abs(grid))


def test_the_mean_by_place_is_over_all_rows(view: View) -> None:
    section = pictures_section(view)
    assert section is not None
    mean = next(each for each in section.pictures if each.key == "mean-deepshap-photo")
    pooled = np.mean([each.mean_magnitude for each in view.collected.attributions], axis=0)
    with drawing():
        np.testing.assert_allclose(mean.draw().axes[0].images[0].get_array(), pooled.reshape(SIZE))


def test_drift_of_pictures_is_by_channel(view: View) -> None:
    assert view.inputs is not None
    assert {each.name for each in view.inputs.features} == {"photo.red", "photo.green", "photo.blue"}


def test_the_page_is_whole_and_has_no_figure_of_steps(view: View) -> None:
    sections = sections_of(view, 20)
    assert [each.key for each in sections][2] == "pictures"
    assert not any("by step" in each.title for section in sections for each in section.pictures)


def test_layers_stand_side_by_side(image_bundle: Path, image_rows: Path, tmp_path: Path) -> None:
    options = {"explain": "grad-cam", "layer": "*", "explain_target": "all"}
    whyport.run(image_bundle, image_rows, tmp_path / "out", **options)
    view = gather(ReportSettings(tmp_path / "out", rows=(3,)))
    section = pictures_section(view)
    assert section is not None
    (picture,) = (each for each in section.pictures if each.key == "layers-photo-0")
    (row,) = pq.read_table(tmp_path / "out").slice(3, 1).to_pylist()
    with drawing():
        panes = picture.draw().axes
    assert [axes.get_title() for axes in panes] == [f"class {k}: body.{name}" for k in (0, 1) for name in (0, 3)]
    for axes, (k, name) in zip(panes, [(0, "layer_map"), (0, ""), (1, "layer_map"), (1, "")], strict=True):
        column = f"layer_map.body.0.class {k}" if name else f"attribution.class {k}"
        shown = axes.images[-1].get_array()
        np.testing.assert_allclose(np.ravel(shown), row[column], atol=1e-6)
        assert shown.shape == (SIZE if name else (6, 5))


def test_the_map_of_one_view_stands_before_the_mean_of_several(
    image_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    whyport.run(image_bundle, image_rows, tmp_path / "out", explain="grad-cam", augment=6)
    whyport.run(image_bundle, image_rows, tmp_path / "one", explain="grad-cam")
    section = pictures_section(gather(ReportSettings(tmp_path / "out", rows=(3,))))
    assert section is not None
    (picture,) = (each for each in section.pictures if each.key == "layers-photo-0")
    with drawing():
        panes = picture.draw().axes
    assert [axes.get_title() for axes in panes] == ["one view", "6 views"]
    drawn = [np.ravel(axes.images[-1].get_array()) for axes in panes]
    for shown, name in zip(drawn, ("one", "out"), strict=True):
        (row,) = pq.read_table(tmp_path / name).slice(3, 1).to_pylist()
        np.testing.assert_allclose(shown, row["attribution"], atol=1e-6)
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3


@pytest.mark.parametrize("per", ["patch", "cell"])
def test_pictures_beside_a_table_have_a_page(
    per: str, image_and_table_bundle: Path, image_rows: Path, tmp_path: Path
) -> None:
    whyport.run(image_and_table_bundle, image_rows, tmp_path / "out", explain="deepshap", per=per)
    whyport.report(tmp_path / "out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "data:image/png" in page
    assert "photo.red" in page
