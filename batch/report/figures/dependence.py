"""Figures of scores over the values of single columns: partial dependence, rows' own curves, categories as bars."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import (
    AXIS,
    BLUE,
    INK,
    MUTED,
    RED,
    RULE,
    TICK,
    WIDTH,
    date_axis,
    plain,
    shorten,
)
from whyport.batch.report.gather.columns import titled
from whyport.batch.report.gather.dependence import Dependence
from whyport.runtime.bundle.columns import TIME

LINES = 50
"""The most rows whose curves are drawn."""
FLOOR = 0.14
"""The height of the distribution of values, as a share of a panel's."""


def dependence_figure(found: Sequence[Dependence], target: str, unit: str) -> Figure:
    """The score of one target over each column's values, two columns side by side."""
    rows = -(-len(found) // 2)
    figure = Figure(figsize=(WIDTH, 2.9 * rows), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06, hspace=0.06)  # type: ignore[union-attr,call-arg]
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, each in zip(grid, found, strict=False):
        if each.grid.labels is None:
            _draw_curves(axes, each, target)
        else:
            _draw_bars(axes, each, target)
        axes.set_ylabel(f"score ({plain(unit)})", fontsize=11)
        axes.tick_params(labelsize=9)
        axes.xaxis.get_offset_text().set_fontsize(9)
        axes.yaxis.get_offset_text().set_fontsize(9)
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    return figure


def _draw_curves(axes: Axes, each: Dependence, target: str) -> None:
    values, curves = each.grid.values, each.curves(target)
    marker = "o" if len(values) == 1 else None
    axes.plot(values, curves[:LINES].T, color=BLUE, linewidth=0.6, alpha=0.35, marker=marker, markersize=2)
    axes.plot(values, each.mean(target), color=RED, linewidth=2.2, marker=marker)
    inside = each.found[(each.found >= values[0]) & (each.found <= values[-1])]
    if len(inside) and values[-1] > values[0]:
        _draw_distribution(axes, *np.histogram(inside, bins=24))
    axes.set_xlabel(plain(shorten(titled(each.grid.column), AXIS)), fontsize=11)
    if each.grid.column.kind == TIME:
        date_axis(axes)


def _draw_distribution(axes: Axes, counts: NDArray[np.int64], edges: NDArray[np.float64]) -> None:
    """Bars along the lower edge: how many of the rows have which values."""
    low, high = axes.get_ylim()
    floor = low - FLOOR * (high - low)
    axes.set_ylim(floor, high)
    heights = counts / max(counts.max(), 1) * FLOOR * (high - low) * 0.9
    axes.bar(edges[:-1], heights, np.diff(edges), floor, align="edge", color=RULE, linewidth=0, zorder=0)


def _draw_bars(axes: Axes, each: Dependence, target: str) -> None:
    """A bar for each category, from the rows' mean score to that of the same rows with this category."""
    level, means = each.level(target), each.mean(target)
    low, high = np.quantile(each.curves(target), (0.1, 0.9), axis=0)
    places = np.arange(len(means))
    axes.bar(places, means - level, 0.62, level, color=[RED if mean >= level else BLUE for mean in means])
    axes.vlines(places, low, high, color=INK, linewidth=1)
    axes.axhline(level, color=MUTED, linewidth=1)
    names = [
        f"{plain(shorten(label, TICK))} {share:.0%}"
        for label, share in zip(each.grid.labels or (), each.shares(), strict=True)
    ]
    axes.set_xticks(places, names, rotation=35, rotation_mode="anchor", ha="right")
    axes.set_xlabel(plain(shorten(each.grid.name, AXIS)), fontsize=11)
