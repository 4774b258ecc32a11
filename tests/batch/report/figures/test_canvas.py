import re
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from whyport.batch.output.totals import ErrorHistogram
from whyport.batch.report.figures.canvas import RED, date_axis, drawing, file_of, shorten, svg_of
from whyport.batch.report.figures.plots import counts_figure, decades
from whyport.batch.report.figures.quantities import Points, residuals_figure
from whyport.batch.report.figures.shap_plots import bar_figure, beeswarm_figure, scatter_figure
from whyport.batch.report.to_shap import make_explanation

NAMES = ["plain", "a=b", "$x$", "<b>&", "a very long name of a feature that has no room at all", "e", "f"]


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, len(NAMES)))


def test_drawing_leaves_no_trace(values: np.ndarray) -> None:
    matplotlib.use("agg")
    own = pyplot.figure()
    settings, numbers = dict(matplotlib.rcParams), pyplot.get_fignums()
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.uniform(size=3)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    data = np.where(values > 1, np.nan, values)
    data[:, 3] = np.nan
    explanation = make_explanation(values, np.zeros(40), data, NAMES, "yes")
    for draw in (
        lambda: bar_figure({"no": np.abs(values[0]), "yes": np.abs(values[1])}, NAMES, "logits"),
        lambda: beeswarm_figure(explanation, "logits"),
        lambda: scatter_figure(explanation, [0, 1, 2], "logits"),
    ):
        with drawing():
            figure = draw()
            assert figure.get_size_inches()[0] == 8
    np.testing.assert_array_equal(np.random.uniform(size=3), expected)  # noqa: NPY002
    assert (dict(matplotlib.rcParams), pyplot.get_fignums()) == (settings, numbers)
    pyplot.close(own)


def test_the_same_data_give_the_same_bytes(values: np.ndarray) -> None:
    explanation = make_explanation(values, np.zeros(40), values, NAMES, "yes")
    texts, files = [], []
    for _ in range(2):
        with drawing():
            figure = beeswarm_figure(explanation, "logits")
            texts.append(svg_of(figure, "f1", {}))
            files.append([file_of(figure, kind) for kind in ("png", "svg", "eps")])
    assert texts[0] == texts[1]
    assert files[0] == files[1]
    png, svg, eps = files[0]
    assert (png[:4], svg[:5], eps[:4]) == (b"\x89PNG", b"<?xml", b"%!PS")


def test_an_element_of_a_page_has_its_colours_and_full_names() -> None:
    long = NAMES[4]
    with drawing():
        figure = counts_figure({long: 3, "$x$": 2})
        text = svg_of(figure, "f7", {shorten(long, 44): long})
    assert f"<title>{long}</title>" in text
    assert ">$x$<" in text
    assert "var(--ink)" in text
    assert "#333333" not in text
    assert "http" not in text
    names = re.findall(r'(?:id="|url\(#|href="#)([^")]+)', text)
    assert names
    assert all(name.startswith("f7-") for name in names)


def test_bars_say_their_values(values: np.ndarray) -> None:
    magnitudes = {"no": np.abs(values[0]), "yes": np.abs(values[1])}
    order = np.argsort(-(magnitudes["no"] + magnitudes["yes"]))
    with drawing():
        axes = bar_figure(magnitudes, NAMES, "logits").axes[0]
        for container, name in zip(axes.containers, magnitudes, strict=True):
            np.testing.assert_allclose([bar.get_width() for bar in container], magnitudes[name][order])
        assert [text.get_text() for text in axes.texts][:7] == [f"{value:.2g}" for value in magnitudes["no"][order]]


def test_errors_are_summed_over_wider_bins() -> None:
    errors = 10.0 ** np.random.default_rng(0).uniform(-8, -3, size=500)
    edges, counts = decades(ErrorHistogram.of(errors))
    expected = [((errors > low) & (errors <= high)).sum() for low, high in pairwise(edges)]
    np.testing.assert_array_equal(counts, expected)
    assert counts.sum() == 500
    np.testing.assert_allclose(np.diff(np.log10(edges)), 0.2)


@pytest.mark.parametrize(("name", "longest", "expected"), [("short", 30, "short"), ("abcdefghij", 5, "ab…ij")])
def test_long_names_keep_both_ends(name: str, longest: int, expected: str) -> None:
    assert shorten(name, longest) == expected


def test_times_have_dates_along_the_axis_and_in_the_colours(values: np.ndarray) -> None:
    data = np.stack([19000 + np.arange(40.0), 19000 + 2 * np.arange(40.0) % 7], axis=1)
    made = make_explanation(values[:, :2], np.zeros(40), data, ["day", "hired"], "yes")
    with drawing():
        figure = scatter_figure(made, [0], "logits", ["day", "hired"], {0, 1})
        figure.canvas.draw()
        texts = [
            label.get_text() for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
        ]
    assert any("Jan" in text or "2022" in text for text in texts)
    assert not any(text.startswith("190") for text in texts)


def test_residuals_by_category_are_boxes_of_those_that_occur() -> None:
    residuals, codes = np.arange(12.0), np.array([0, 2] * 6, dtype=np.float64)
    figure = residuals_figure(residuals, [Points("city", codes, ("Bern", "Lyon", "(other)", "(missing)"))], "g")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Bern", "(other)"]
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_color() == RED]
    assert medians == [np.median(residuals[codes == code]) for code in (0, 2)]


@pytest.mark.parametrize("days", [0.01, 0.1, 1, 2.9, 30, 90, 930, 1000, 30_000])
def test_dates_are_written_over_any_span(days: float) -> None:
    axes = Figure().subplots()
    axes.plot([18_262, 18_262 + days], [0, 1])
    date_axis(axes)
    assert 2 <= len(axes.get_xticks()) <= 9


@pytest.mark.parametrize("last", [2_932_896, 10**7, -(10**6)])
def test_days_of_any_year_are_drawn(last: int) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([18_262, last], [0, 1])
    date_axis(axes)
    svg_of(figure, "f0", {})  # draws
    ticks = [day for day in axes.get_xticks() if min(18_262, last) <= day <= max(18_262, last)]
    written = [label.get_text() for label in axes.get_xticklabels()]
    assert len(ticks) >= 2
    assert {str(np.datetime64(int(day), "D")) for day in ticks} <= set(written)
