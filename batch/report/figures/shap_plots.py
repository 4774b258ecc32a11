"""shap's own plots, in the report's width and with labels that fit."""

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import (
    AXIS,
    INK,
    SERIES,
    WIDTH,
    date_axis,
    plain,
    rounded,
    shorten,
)
from whyport.batch.report.gather.columns import day_text
from whyport.batch.report.shap_package import load_shap

if TYPE_CHECKING:
    from shap import Explanation


LABEL_SIZE = 12
EMPTY: frozenset[int] = frozenset()
TOP, BOTTOM = 0.15, 0.65
"""Space above and below the axes, in inches."""


def bar_figure(
    magnitudes: "dict[str, NDArray[np.float64]]", names: Sequence[str], unit: str, rows: Mapping[str, int] | None = None
) -> Figure:
    """shap.plots.bar of the mean magnitudes [K] of each class, for K features, ranked by the mean over all rows.

    Args:
        magnitudes: the means by class.
        names: the names of the features.
        unit: their unit.
        rows: the number of rows of each class, which its mean is over; by default as many for each.
    """
    shap = load_shap()
    shown = [plain(shorten(name)) for name in names]
    made = {name: shap.Explanation(values, feature_names=shown) for name, values in magnitudes.items()}
    height = len(shown) * (0.36 if len(made) == 1 else 0.2 + 0.2 * len(made)) + TOP + BOTTOM
    axes = _axes(height + 0.3 * (len(made) > 1), _label_width(shown), top=TOP + 0.3 * (len(made) > 1))
    weights = [1 if rows is None else rows[name] for name in magnitudes]
    order = -np.average(np.stack(list(magnitudes.values())), axis=0, weights=weights)
    shap.plots.bar(
        made if len(made) > 1 else next(iter(made.values())),
        max_display=len(shown),
        order=np.argsort(order, kind="stable"),
        show_data=False,
        ax=axes,
        show=False,
    )
    _relabel(axes, [shown[i] for i in np.argsort(order, kind="stable")], np.arange(len(shown), 0, -1))
    # shap tells classes by hatches, and rounds small values to +0.
    for container, colour in zip(axes.containers, SERIES, strict=False):
        for patch in container:
            patch.set(facecolor=colour, hatch=None, edgecolor="none")
    for text in axes.texts:
        text.set(color=INK, fontsize=10)
    values = np.concatenate([v[np.argsort(order, kind="stable")] for v in magnitudes.values()])
    for text, value in zip(axes.texts, values, strict=True):
        text.set_text(rounded(value))
    axes.set_ylim(0.4, len(shown) + 0.6)
    if len(made) > 1:
        axes.legend(
            axes.containers,
            [plain(shorten(name)) + ("" if rows is None else f" ({rows[name]:,} rows)") for name in made],
            fontsize=11,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderpad=0,
            ncols=2,
        )
    axes.set_xlabel(f"mean |attribution| ({unit})", fontsize=12)
    return _figure(axes)


def beeswarm_figure(explanation: "Explanation", unit: str) -> Figure:
    """shap.plots.beeswarm for N rows and K features."""
    shap = load_shap()
    shown = [plain(shorten(name)) for name in explanation.feature_names]
    height = len(shown) * 0.36 + TOP + BOTTOM
    axes = _axes(height, _label_width(shown))
    short = shap.Explanation(explanation.values, data=explanation.data, feature_names=shown)
    order = np.argsort(-np.abs(explanation.values).mean(axis=0), kind="stable")
    shap.plots.beeswarm(short, max_display=len(shown), order=order, ax=axes, plot_size=None, show=False, s=10)
    axes.set_xlabel(f"attribution ({unit})", fontsize=12)
    axes.tick_params("y", labelsize=LABEL_SIZE, length=0)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    return _figure(axes)


def scatter_figure(
    explanation: "Explanation", chosen: Sequence[int], unit: str, titles: Sequence[str] = (), times: Set[int] = EMPTY
) -> Figure:
    """shap.plots.scatter for some features, two side by side, coloured by the strongest interaction that shap finds.

    Args:
        explanation: N rows and K features.
        chosen: the positions of those that are drawn.
        unit: the unit of the attributions.
        titles: the features' names with their units; by default the names.
        times: the positions of features that are times, in days since 1970-01-01.
    """
    from matplotlib import pyplot

    shap = load_shap()
    shown = [plain(shorten(name, AXIS)) for name in explanation.feature_names]
    short = shap.Explanation(explanation.values, data=explanation.data, feature_names=shown)
    rows = -(-len(chosen) // 2)
    figure = pyplot.figure(figsize=(WIDTH, 3.2 * rows), layout="constrained")
    figure.get_layout_engine().set(wspace=0.08, hspace=0.06)  # type: ignore[union-attr,call-arg]
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, j in zip(grid, chosen, strict=False):
        known = np.isfinite(explanation.data[:, j])
        one = short[known]
        shap.plots.scatter(one[:, int(j)], color=one if len(shown) > 1 else SERIES[0], ax=axes, show=False, dot_size=9)
        axes.set_ylabel(f"attribution ({unit})", fontsize=11, color=INK)
        axes.set_xlabel(plain(shorten(titles[j], AXIS)) if titles else shown[j], fontsize=11, color=INK)
        if j in times:
            date_axis(axes)
    for axes in figure.axes:
        if axes not in grid and axes.get_ylabel() in {shown[j] for j in times}:
            axes.yaxis.set_major_formatter(lambda days, _: day_text(round(days)))
        axes.tick_params(labelsize=9)
        axes.xaxis.get_offset_text().set_fontsize(9)
        axes.yaxis.label.set_fontsize(10)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    return figure


def _axes(height: float, left: float, top: float = TOP) -> Axes:
    """Axes in a new current figure of the report's width, with `left` inches for labels on the left."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(WIDTH, height))
    edge = min(left + 0.25, WIDTH / 2) / WIDTH
    return figure.add_axes((edge, BOTTOM / height, 1 - edge - 0.02, 1 - (BOTTOM + top) / height))


def _label_width(labels: Sequence[str]) -> float:
    """The width of the widest label, in inches."""
    return (
        max((TextPath((0, 0), label, size=LABEL_SIZE).get_extents().width for label in labels if label), default=0) / 72
    )


def _relabel(axes: Axes, labels: Sequence[str], places: NDArray[Any]) -> None:
    """Draw one label per row: shap writes each label twice, and takes what follows a "=" in a name for a value."""
    axes.set_yticks(list(places), list(labels), fontsize=LABEL_SIZE, color=INK)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure
