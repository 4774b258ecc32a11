"""A report of a run over a raw table: categories by name, dates as dates, and what training has not seen."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.mixed import NAMES, PARTS, mixed_bundle, yes_of
from support.screenshots import OVERLAPS, shoot
from whyport import report, show, to_shap
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.picture import Block, Picture, Table
from whyport.batch.report.sections.by_target import target_blocks
from whyport.batch.report.sections.dependence import dependence_blocks
from whyport.batch.report.sections.trust import trust_section
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

ROWS = 60
REGION = [("north", "south", "west", None)[i % 4] for i in range(ROWS)]
CODES = np.array([i % 4 for i in range(ROWS)])
"""The codes of the regions; west is unseen."""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over one file, with its bundle beside it."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = np.arange(ROWS)
    table = {
        "age": rows + 0.5,
        "region": REGION,
        "since": [dt.date(2020, 1, 1) + dt.timedelta(days=int(i)) for i in rows],
        "grade": rows % 2 + 1,
        "member": [(True, False, None)[i % 3] for i in rows],
        "truth": ["no", "yes"] * (ROWS // 2),
    }
    pq.write_table(pa.table(table), folder / "rows.parquet")
    settings = JobSettings(
        (str(folder / "rows.parquet"),),
        folder / "out",
        methods=("shapley",),
        explain_target="yes",
        keep=("truth",),
        device="cpu",
    )
    Job(Bundle.read(mixed_bundle(folder / "bundle")), settings).run()
    return folder / "out"


@pytest.fixture(scope="module")
def view(out: Path) -> View:
    return gather(ReportSettings(out=out, label="truth", device="cpu"))


def named(blocks: list[Block], title: str) -> Any:
    return next(b for b in blocks if isinstance(b, Picture | Table) and b.title.startswith(title))


def test_attributions_are_by_category(view: View) -> None:
    (each,) = view.collected.attributions
    blocks = target_blocks(view, each, 20)
    background = References.read(view.bundle)
    base = {n: background.weights @ np.asarray(PARTS[n])[background.rows[:, NAMES.index(n)].astype(int)] for n in PARTS}
    picture = named(blocks, "Attribution by category")
    with drawing():
        panels = picture.draw().axes
    assert {axes.get_title(loc="left") for axes in panels} == set(PARTS)
    (region,) = (axes for axes in panels if axes.get_title(loc="left") == "region")
    labels = ["north (15)", "south (15)", "(other) (15)", "(missing) (15)"]
    assert [label.get_text() for label in region.get_yticklabels()] == labels
    widths = [bar.get_width() for bar in region.patches]
    np.testing.assert_allclose(widths, np.asarray(PARTS["region"]) - base["region"], atol=1e-5)
    assert f"(other) {0.25 - base['region']:+.3g}" in picture.alt
    numbers = named(blocks, "Attribution by value")
    with drawing():
        drawn = numbers.draw().axes
    assert {axes.get_xlabel() for axes in drawn if axes.get_xlabel()} == {"age", "since"}
    assert "Categories have no colour." in named(blocks, "Attributions for").caption


def test_a_category_s_score_is_that_of_the_rows_with_it(view: View) -> None:
    (found,) = (each for each in view.dependences if each.grid.name == "region")
    places = view.collected.scored
    rows = view.values.rows(places)
    for code, mean in zip(found.grid.values, found.mean("yes"), strict=True):
        changed = rows.copy()
        changed[:, 1] = code
        assert mean == pytest.approx(yes_of(changed).mean(), abs=1e-4)
    assert found.grid.labels == ("north", "south", "(other)", "(missing)")
    np.testing.assert_allclose(found.shares(), 0.25)
    (picture,) = (block for block in dependence_blocks(view) if isinstance(block, Picture))
    assert "region: highest with north" in picture.alt
    assert "since: the mean score is" in picture.alt
    assert "at 2020-01-0" in picture.alt
    with drawing():
        picture.draw()


def test_drift_and_unseen_values_are_by_category(view: View) -> None:
    blocks = list(trust_section(view, 20).blocks)
    unseen = named(blocks, "Unseen values by column")
    assert unseen.rows == (("region", "15", "25.00%"),)
    ranked = named(blocks, "Inputs against the training rows, ranked")
    (row,) = (row for row in ranked.rows if row[0] == "region")
    before, after = np.array([10, 11, 0, 0]) / 21, np.full(4, 0.25)
    before = np.maximum(before, 1e-4)
    assert float(row[1]) == pytest.approx(((after - before) * np.log(after / before)).sum(), abs=5e-4)
    assert row[2:] == ("0.00%", "25.00%", "25.00%")
    assert "Values are none of the categories in 1: region 25.00%." in named(blocks, "Inputs against").caption
    picture = named(blocks, "Categories in training and in this run")
    assert "region: index" in picture.alt
    with drawing():
        picture.draw()


def test_single_rows_have_the_input_s_values(out: Path, view: View) -> None:
    assert all(set(case.values) == set(NAMES) for case in view.cases)
    (case,) = gather(ReportSettings(out=out, rows=(2,), device="cpu")).cases
    assert case.values == {
        "age": "2.5",
        "region": "west",
        "since": "2020-01-03",
        "grade": "1",
        "member": "missing",
    }
    lines = show(out, 2)
    assert any(line.endswith("  region = west") for line in lines)
    assert any(line.endswith("  since = 2020-01-03") for line in lines)


def test_the_page_is_drawn(out: Path, tmp_path: Path) -> None:
    report(out, tmp_path / "page.html", label="truth", row=2, device="cpu")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for phrase in ("region = west", "member = missing", "Unseen values", "(other) (15)"):
        assert phrase in text


@pytest.mark.slow
def test_no_texts_of_the_page_lie_over_each_other(out: Path, tmp_path: Path) -> None:
    report(out, tmp_path / "page.html", label="truth", device="cpu")
    for options in ((), ("--width", "390")):
        shot = shoot((tmp_path / "page.html").as_uri(), tmp_path / "page.png", *options, "--eval", OVERLAPS)
        assert (shot.errors, shot.requests) == ([], [])
        assert not json.loads(shot.result)


def test_shap_s_objects_have_codes_and_show_names(out: Path, tmp_path: Path) -> None:
    made = to_shap(out)["shapley", "yes"]
    np.testing.assert_array_equal(made.data[:, 1], CODES)
    assert list(made.display_data[:4, 1]) == ["north", "south", "(other)", "(missing)"]
    assert made.display_data[0, 2] == "2020-01-01"
    moved = shutil.copytree(out.parent, tmp_path / "moved")
    shutil.rmtree(out.parent / "bundle")
    try:
        alone = to_shap(out)["shapley", "yes"]
    finally:
        shutil.copytree(moved / "bundle", out.parent / "bundle")
    assert np.isnan(alone.data[:, 1]).all()
    np.testing.assert_array_equal(alone.data[:, 0], np.arange(ROWS) + 0.5)
