"""Figures of predicted quantities: their distribution, the measured values against them, and the residuals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import AXIS, BLUE, MUTED, RED, WIDTH, date_axis, plain, shorten
from whyport.batch.report.gather.columns import day_text

BINS = 30
MEANS = 10
"""The bins of equally many rows that a mean residual is drawn for."""


@dataclass(frozen=True)
class Points:
    """Residuals over one quantity."""

    label: str
    """The quantity's name, with its unit."""
    values: NDArray[np.float64]
    """[n], NaN where one is missing."""
    categories: tuple[str, ...] | None = None
    """The names of the values 0, 1, ... of a category column; None for a number."""
    are_times: bool = False
    """Whether the values are days since 1970-01-01."""

    @property
    def texts(self) -> Sequence[Any]:
        """The values [n] as a reader knows them: numbers, dates, names of categories; None where one is missing."""
        known = np.isfinite(self.values)
        if self.categories is not None:
            return [
                self.categories[int(v)] if is_known else None for v, is_known in zip(self.values, known, strict=True)
            ]
        if self.are_times:
            return [day_text(v) if is_known else None for v, is_known in zip(self.values, known, strict=True)]
        return list(self.values.tolist())


def distribution_figure(values: NDArray[np.float64], mean: float, label: str) -> Figure:
    """A histogram of predictions [n], with the mean of all."""
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=BINS, color=BLUE)
    axes.axvline(mean, color=MUTED, linewidth=1, dashes=(3, 2))
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axes.annotate("mean", (mean, 1), (4, -10), **place, fontsize=10, color=MUTED)  # type: ignore[arg-type]
    axes.set(xlabel=plain(label), ylabel="rows")
    axes.margins(y=0.15)
    return figure


def histogram(values: NDArray[np.float64], name: str) -> dict[str, NDArray[Any]]:
    """The bins of `distribution_figure`, as columns."""
    rows, edges = np.histogram(values, BINS)
    return {f"{name} from": edges[:-1], f"{name} to": edges[1:], "rows": rows}


def measured_figure(predicted: NDArray[np.float64], measured: NDArray[np.float64], label: str) -> Figure:
    """Measured values over predicted ones, [n] each, with the line on which they are equal."""
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    low, high = min(predicted.min(), measured.min()), max(predicted.max(), measured.max())
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, dashes=(3, 2))
    axes.plot(predicted, measured, ".", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0)
    axes.set(xlabel=plain(f"predicted {label}"), ylabel=plain(f"measured {label}"))
    return figure


def residuals_figure(residuals: NDArray[np.float64], panels: Sequence[Points], unit: str | None) -> Figure:
    """Residuals [n] over each of one or two quantities, side by side."""
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    grid = figure.subplots(1, 2, squeeze=False, sharey=True)[0]
    for axes, points in zip(grid, panels, strict=False):
        known = np.isfinite(points.values)
        values, over = points.values[known], residuals[known]
        axes.axhline(0, color=MUTED, linewidth=1, dashes=(3, 2))
        if points.categories is None:
            axes.plot(values, over, ".", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0)
            _draw_means(axes, values, over)
        else:
            _draw_boxes(axes, values, over, points.categories)
        axes.set_xlabel(plain(shorten(points.label, AXIS)), fontsize=11)
        axes.tick_params(labelsize=9)
        if points.are_times:
            date_axis(axes)
    shown = "measured - predicted" if unit is None else f"measured - predicted ({shorten(unit, AXIS)})"
    grid[0].set_ylabel(plain(shown), fontsize=11)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure


def _draw_means(axes: Axes, values: NDArray[np.float64], residuals: NDArray[np.float64]) -> None:
    """The mean residual of bins of equally many rows."""
    if len(values) < 2 * MEANS:
        return
    parts = np.array_split(np.argsort(values, kind="stable"), MEANS)
    axes.plot(
        [values[part].mean() for part in parts], [residuals[part].mean() for part in parts], color=RED, linewidth=2
    )


def _draw_boxes(
    axes: Axes, values: NDArray[np.float64], residuals: NDArray[np.float64], categories: Sequence[str]
) -> None:
    """The quartiles of the residuals of each category that occurs."""
    shown = [code for code in range(len(categories)) if (values == code).any()]
    axes.boxplot(
        [residuals[values == code] for code in shown],
        positions=range(len(shown)),
        widths=0.6,
        showfliers=False,
        medianprops={"color": RED},
    )
    names = [plain(shorten(categories[code], AXIS)) for code in shown]
    axes.set_xticks(range(len(shown)), names, rotation=35, rotation_mode="anchor", ha="right")
