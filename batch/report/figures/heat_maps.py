"""Figures of a sequence's shares: a heat map by time and feature with both sums, and the series themselves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import AXIS, BLUE, GROUND, INK, MUTED, RED, TICK, WIDTH, plain, shorten
from whyport.batch.report.figures.plots import MAPS

SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, GROUND, RED])
"""A colour map from what lowers a score to what raises it."""
MARKED = 60
"""The steps up to which each has a mark."""


def heat_map_figure(
    cells: NDArray[np.float64],
    labels: Sequence[str],
    shown: Sequence[int],
    unit: str,
    *,
    are_signed: bool,
    having: NDArray[np.float64] | None = None,
) -> Figure:
    """The shares of a sequence's cells, with their sums by step above and by feature beside them.

    Args:
        cells: the shares, [steps, features].
        labels: the names of the features.
        shown: the features that have a row; the sums by step are over all of them.
        unit: the unit of the shares.
        are_signed: whether shares have signs; the sums then are drawn as what raises and what lowers the score.
        having: the share of the rows that have each step, where they are of varying length and the cells are means over
            these; the sums by feature then are means over all rows.
    """
    height = min(max(0.3 * len(shown), 1.2), 7.0)
    heights = (1.1, height) if having is None else (1.1, height, 0.6)
    figure = Figure(figsize=(WIDTH, sum(heights) + 1.5), layout="constrained")
    grid = figure.subplots(
        len(heights), 2, sharex="col", sharey="row", width_ratios=(5, 1.4), height_ratios=heights, squeeze=False
    )
    above, corner, main, beside, *rows = grid.ravel()
    corner.set_axis_off()
    largest = float(np.abs(cells).max(initial=0.0)) or 1.0
    image = main.imshow(
        cells[:, shown].T,
        cmap=SIGNED if are_signed else MAPS,
        vmin=-largest if are_signed else 0,
        vmax=largest,
        aspect="auto",
        interpolation="nearest",
    )
    main.set_yticks(range(len(shown)), [plain(shorten(labels[i], TICK)) for i in shown])
    main.tick_params(length=0)
    grid[-1, 0].set_xlabel("step")
    main.xaxis.set_major_locator(MaxNLocator(integer=True))
    _sums(above, cells, are_signed, is_across=False)
    of_all = cells if having is None else cells * having[:, None]
    _sums(beside, of_all[:, shown].T, are_signed, is_across=True)
    if having is not None:
        below, other = rows
        other.set_axis_off()
        below.bar(np.arange(len(cells)), having, 0.8, color=MUTED)
        below.set_ylim(0, 1)
        below.set_ylabel("rows")
        below.yaxis.set_major_formatter(PercentFormatter(1))
        main.tick_params("x", labelbottom=False)
        beside.tick_params("x", labelbottom=True)
    above.tick_params("x", labelbottom=False, length=0)
    beside.tick_params("y", labelleft=False, length=0)
    above.set_ylabel("sum")
    beside.set_xlabel("sum")
    colours = figure.colorbar(image, ax=list(grid.ravel()), location="bottom", label=f"share ({unit})", aspect=50)
    colours.outline.set_visible(False)
    return figure


def series_figure(
    values: NDArray[np.float64], cells: NDArray[np.float64], labels: Sequence[str], shown: Sequence[int], unit: str
) -> Figure:
    """The values of some features over the steps of one row, marked by what each spoke for.

    Args:
        values: the values, [steps, features].
        cells: their shares, [steps, features].
        labels: the names of the features.
        shown: the features that are drawn, the first on top.
        unit: the unit of the shares.
    """
    figure = Figure(figsize=(WIDTH, 1.5 + 1.25 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 1, sharex=True, squeeze=False).ravel()
    largest = float(np.abs(cells[:, shown]).max(initial=0.0)) or 1.0
    steps = np.arange(len(values))
    for axes, i in zip(rows, shown, strict=True):
        axes.plot(steps, values[:, i], color=MUTED, linewidth=1, zorder=1)
        marks = axes.scatter(
            steps,
            values[:, i],
            c=cells[:, i],
            cmap=SIGNED,
            vmin=-largest,
            vmax=largest,
            s=6 + 60 * np.abs(cells[:, i]) / largest,
            edgecolors=MUTED,
            linewidths=0.6 if len(values) <= MARKED else 0.2,
            zorder=2,
        )
        axes.set_ylabel(plain(shorten(labels[i], AXIS)), rotation=0, ha="right", va="center")
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.margins(y=0.2)  # so that no mark is cut off
    rows[-1].set_xlabel("step")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    colours = figure.colorbar(marks, ax=list(rows), location="bottom", label=f"share ({unit})", aspect=50)
    colours.outline.set_visible(False)
    return figure


def _sums(axes: Axes, cells: NDArray[np.float64], are_signed: bool, *, is_across: bool) -> None:
    """Bars of the sums over the last axis; of signed cells what raises, what lowers, and a mark at what is left."""
    bars = axes.barh if is_across else axes.bar
    places = np.arange(len(cells))
    if not are_signed:
        bars(places, cells.sum(axis=1), 0.8, color=BLUE)
        return
    bars(places, np.clip(cells, 0, None).sum(axis=1), 0.8, color=RED)
    bars(places, np.clip(cells, None, 0).sum(axis=1), 0.8, color=BLUE)
    left = cells.sum(axis=1)
    across, up = (left, places) if is_across else (places, left)
    axes.plot(across, up, linestyle="none", marker="o", markersize=3, color=INK)
    (axes.axvline if is_across else axes.axhline)(0, color=MUTED, linewidth=0.8)
