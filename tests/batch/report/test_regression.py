"""A report of predicted quantities: everything in their units, and no word of classes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, r2_score

from support.bundles import WEIGHTS, logits_of
from support.quantities import REFERENCES, quantity_bundle
from whyport import report
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.gather.view import ReportSettings, View, gather
from whyport.batch.report.page import sections_of
from whyport.batch.report.picture import Picture, Table
from whyport.batch.report.sections.glance import glance_lines
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError

TARGETS = {"width": "mm", "mass": "g"}
FORBIDDEN = re.compile("class|logit|probabilit|confusion", re.IGNORECASE)

Score = Callable[..., Path]


@pytest.fixture(scope="module", params=[1, 2])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one target, and one of two in different units."""
    targets = dict(list(TARGETS.items())[: request.param])
    return quantity_bundle(tmp_path_factory.mktemp("quantities") / "bundle", targets, "cm")


@pytest.fixture
def measured(table: pa.Table, rows: NDArray[np.float64]) -> pa.Table:
    """The table with measured values: the model's own, but for half a unit, and for row 7."""
    values = logits_of(rows.astype(np.float32)) + 0.5
    values[7] += 40
    table = table.append_column("width", pa.array(values[:, 0])).append_column("mass", pa.array(values[:, 1]))
    return table.append_column("name", pa.array(["x"] * len(rows)))


@pytest.fixture
def score(bundle: Path, measured: pa.Table, write: Callable[..., Path], tmp_path: Path) -> Score:
    def score(count: int = 1000, **settings: Any) -> Path:
        source, out = write(measured.slice(0, count)), tmp_path / "out"
        Job(Bundle.read(bundle), JobSettings((str(source),), out, device="cpu", **settings)).run()
        return out

    return score


EXPLAINED = {"methods": ("shapley",), "explain_target": "all", "keep": ("width", "mass", "name")}


def found(view: View, kind: type[Any], title: str) -> Any:
    blocks = [block for section in sections_of(view, 20) for block in section.blocks]
    return next(block for block in blocks if isinstance(block, kind) and block.title == title)


def test_the_page_has_units_and_no_word_of_classes(score: Score, bundle: Path, tmp_path: Path) -> None:
    out = score(100, **EXPLAINED)
    report(out, tmp_path / "page.html", device="cpu")
    page = (tmp_path / "page.html").read_text(encoding="utf-8").split("</style>")[1].split("<script")[0]
    seen = re.sub(r"<[^>]*>", " ", page) + " ".join(re.findall(r'(?:aria-label|title)="([^"]*)"', page))
    assert not FORBIDDEN.findall(seen)
    for phrase in ("Furthest off: row 7", "measured width (mm)", "attribution (mm)", "completeness error", "cm"):
        assert phrase in seen
    targets = Bundle.read(bundle).sidecar.targets
    assert ("(g)" in seen) == (len(targets) > 1)
    assert len(re.findall("Mean [|]attribution[|] for", seen)) >= len(targets)  # units differ, and so do the bars


def test_the_fit_is_that_of_all_rows(score: Score, measured: pa.Table, rows: NDArray[np.float64]) -> None:
    out = score(**EXPLAINED)
    view = gather(ReportSettings(out=out, device="cpu"))
    table = found(view, Table, "How well the predictions fit")
    predicted, truth = logits_of(rows.astype(np.float32))[:, 0], measured["width"].to_numpy()
    name, unit, r2, mean_absolute, *_, bias, count = table.rows[0]
    assert (name, unit, count) == ("width", "mm", "1,000")
    assert float(r2) == pytest.approx(r2_score(truth, predicted), abs=1e-4)
    assert float(mean_absolute) == pytest.approx(mean_absolute_error(truth, predicted), rel=1e-3)
    assert float(bias) == pytest.approx(0.54, rel=1e-3)
    lines = {line.label: line.text for line in glance_lines(view)}
    assert lines["R²"].startswith(f"width {r2_score(truth, predicted):.3f}")


def test_residuals_are_drawn_over_predictions_and_the_strongest_column(score: Score, rows: NDArray[np.float64]) -> None:
    view = gather(ReportSettings(out=score(**EXPLAINED), device="cpu"))
    picture = found(view, Picture, "Residuals of width")
    strongest = view.dependences[0].grid.column.name
    with drawing():
        over_predicted, over_feature = picture.draw().axes
    assert (over_predicted.get_xlabel(), over_feature.get_xlabel()) == ("predicted width (mm)", strongest)
    assert over_predicted.get_ylabel() == "measured - predicted (mm)"
    residuals = np.sort(over_predicted.lines[1].get_ydata())
    np.testing.assert_allclose(residuals[:-1], 0.5, atol=1e-5)
    np.testing.assert_allclose(residuals[-1], 40.5, atol=1e-5)
    values = np.sort(over_feature.lines[1].get_xdata())
    np.testing.assert_allclose(values, np.sort(rows[:, "abc".index(strongest)]))
    names = {each.grid.column.name for each in view.dependences}
    assert names == set("abc")
    dependence = found(view, Picture, "Partial dependence of the score of width")
    with drawing():
        labels = {axes.get_xlabel() for axes in dependence.draw().axes}
    assert "a (cm)" in labels


def test_every_target_has_its_own_strongest_columns(score: Score, rows: NDArray[np.float64]) -> None:
    view = gather(ReportSettings(out=score(**EXPLAINED), device="cpu"))
    for target, weights in zip(view.task.targets, WEIGHTS, strict=False):
        order = ["abc"[j] for j in np.argsort(-np.abs(weights) * np.abs(rows - REFERENCES.mean(axis=0)).mean(axis=0))]
        assert [each.grid.name for each in view.dependences if target in each.targets] == order
        with drawing():
            residuals = found(view, Picture, f"Residuals of {target}").draw().axes
            curves = found(view, Picture, f"Partial dependence of the score of {target}").draw().axes
        assert residuals[1].get_xlabel().split(" ")[0] == curves[0].get_xlabel().split(" ")[0] == order[0]


def test_without_measured_values_there_are_predictions_alone(score: Score, rows: NDArray[np.float64]) -> None:
    view = gather(ReportSettings(out=score(methods=("shapley",), explain_target="all"), device="cpu"))
    widths = logits_of(rows.astype(np.float32))[:, 0]
    caption = found(view, Picture, "Predicted width").caption
    assert f"mean {widths.mean():.4g} mm, smallest {widths.min():.4g}, largest {widths.max():.4g}." in caption
    with pytest.raises(StopIteration):
        found(view, Picture, "Residuals of width")
    assert {case.choice.kind for case in view.cases} == {"largest", "smallest"}


def test_a_column_that_holds_no_measured_values_is_refused(score: Score, bundle: Path) -> None:
    out = score(**EXPLAINED)
    several = len(Bundle.read(bundle).sidecar.targets) > 1
    message = (
        "the model has 2 targets" if several else "expected the measured values of 'width', got a column of string"
    )
    with pytest.raises(UsageError, match=message):
        gather(ReportSettings(out=out, label="name", device="cpu"))
    with pytest.raises(UsageError, match="unknown kept column 'a'"):
        gather(ReportSettings(out=out, label="a", device="cpu"))


def test_without_rows_not_even_the_largest_prediction_is_told(score: Score, bundle: Path, tmp_path: Path) -> None:
    out = score(100, **EXPLAINED)
    report(out, tmp_path / "with.html")
    report(out, tmp_path / "without.html", no_rows=True)
    counted = json.loads((out / "_report.json").read_text())["values"]
    extremes = [f"{values[side]:.4g}" for values in counted.values() for side in ("minimum", "maximum")]
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in ("with.html", "without.html")]
    assert [[extreme in text for extreme in extremes] for text in texts] == [
        [True] * len(extremes),
        [False] * len(extremes),
    ]
    assert "Measured against predicted" in texts[0]
    assert "Measured against predicted" not in texts[1]
