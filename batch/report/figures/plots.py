"""Figures of counts, errors, drift, and where the network looked."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from whyport.batch.output.totals import EDGES, ErrorHistogram
from whyport.batch.report.figures.canvas import (
    BLUE,
    GROUND,
    INK,
    MUTED,
    ORANGE,
    PLACE,
    REASON,
    RED,
    RULE,
    TICK,
    WIDTH,
    plain,
    shorten,
)
from whyport.batch.report.gather.drift import MOVED, STABLE, UNTOLD, FeatureDrift

CELLS = 12
"""The largest number of classes for which a confusion matrix has numbers in its cells."""

ROW = 0.34
"""The height of a labelled row, in inches."""

MAPS = LinearSegmentedColormap.from_list("maps", ["#eaf4fe", BLUE, "#0b2a5b"])
"""A colour map from light to dark, readable on both backgrounds because every cell has a colour."""


def confusion_figure(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Row counts by label and prediction, [C, C], coloured by their share of the label's rows."""
    count = len(classes)
    figure = Figure(figsize=(WIDTH, min(1.9 + 0.55 * count, 8.0)), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=MAPS, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class", aspect=30).outline.set_visible(False)
    step = -(-count // 30)
    names = [plain(shorten(name, TICK)) for name in classes[::step]]
    is_long = count > 6 or max(map(len, names)) > 12
    axes.set_xticks(
        range(0, count, step),
        names,
        rotation=40 if is_long else 0,
        rotation_mode="anchor",
        ha="right" if is_long else "center",
    )
    axes.set_yticks(range(0, count, step), names)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted", ylabel="true")
    if count <= CELLS:
        for (row, column), rows in np.ndenumerate(matrix):
            colour = "#fefefe" if shares[row, column] > 0.4 else "#1b1b1b"
            axes.text(
                column, row, f"{rows:,}", ha="center", va="center", color=colour, fontsize=10 if count > 8 else 12
            )
    return figure


def counts_figure(counts: Mapping[str, int], colour: str = BLUE, xlabel: str = "rows") -> Figure:
    """One bar per name."""
    names = [plain(shorten(name, REASON)) for name in counts]
    figure = Figure(figsize=(WIDTH, 0.9 + ROW * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(names)), list(counts.values()), color=colour, height=0.62)
    total = max(sum(counts.values()), 1)
    for i, rows in enumerate(counts.values()):
        axes.annotate(
            f"{rows:,} ({rows / total:.1%})", (rows, i), (5, 0), textcoords="offset points", va="center", fontsize=10
        )
    axes.set_xlim(0, max(*counts.values(), 1) * 1.25)
    _rows(axes, names)
    axes.set_xlabel(xlabel)
    return figure


def errors_figure(errors: Mapping[str, ErrorHistogram], unit: str) -> Figure:
    """The number of explanations by completeness error, for each method, on a logarithmic axis."""
    figure = Figure(figsize=(WIDTH, 0.7 + 2.1 * len(errors)), layout="constrained")
    grid = figure.subplots(len(errors), 1, squeeze=False, sharex=True).ravel()
    for axes, (method, histogram) in zip(grid, errors.items(), strict=True):
        edges, counts = decades(histogram)
        axes.stairs(counts, edges, fill=True, color=BLUE, linewidth=0)
        axes.set_xscale("log")
        axes.set_title(plain(method), loc="left", fontsize=12, color=INK)
        axes.set_ylabel("explanations")
        axes.set_ylim(0, max(counts.max(initial=0), 1) * 1.18)
        for share, name in ((0.5, "median"), (0.99, "99 %")):
            value = histogram.quantile(share)
            if 0 < value < np.inf:
                axes.axvline(value, color=MUTED, linewidth=1, dashes=(3, 2))
                axes.annotate(
                    name,
                    (value, 1),
                    (-3 if share == 0.5 else 3, -11),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    ha="right" if share == 0.5 else "left",
                    fontsize=10,
                    color=MUTED,
                )
    grid[-1].set_xlabel(f"completeness error ({unit})")
    return figure


def decades(histogram: ErrorHistogram, bins_per_decade: int = 5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The edges [B + 1] and counts [B] of a histogram's finite errors in wider bins, from the first to the last."""
    step = 50 // bins_per_decade
    # Bin i holds EDGES[i - 1] < error <= EDGES[i].
    places = np.array(sorted(map(int, histogram.counts)), dtype=np.int64)
    counts = np.array([histogram.counts[str(i)] for i in places], dtype=np.int64)
    coarse = -(-places // step)
    first, last = (int(coarse.min()), int(coarse.max())) if len(coarse) else (1, 1)
    summed = np.bincount(coarse - first, weights=counts, minlength=last - first + 1).astype(np.int64)
    exponents = np.arange(first - 1, last + 1) * step / 50 + np.log10(EDGES[0])
    return np.power(10.0, exponents), summed


def drift_figure(drift: Sequence[FeatureDrift], floor: float) -> Figure:
    """The index of some features as bars, with the usual thresholds."""
    names = [plain(shorten(each.name)) for each in drift]
    values = np.array([each.index if each.is_told else 0.0 for each in drift])
    figure = Figure(figsize=(WIDTH, 1.1 + ROW * len(names)), layout="constrained")
    axes = figure.subplots()
    colours = [RED if value >= MOVED else ORANGE if value >= STABLE else BLUE for value in values]
    axes.barh(range(len(names)), values, color=colours, height=0.62)
    for i, (each, value) in enumerate(zip(drift, values, strict=True)):
        ground = {"facecolor": GROUND, "edgecolor": "none", "pad": 1}
        text = f"{value:.2g}" if each.is_told else UNTOLD
        axes.annotate(text, (value, i), (5, 0), textcoords="offset points", va="center", fontsize=10, bbox=ground)
    axes.set_xlim(0, max(values.max(initial=0) * 1.15, MOVED * 1.2))
    # Apart even where a large index brings them near each other.
    for threshold, side in ((STABLE, "right"), (MOVED, "left")):
        axes.axvline(threshold, color=MUTED, linewidth=1, dashes=(3, 2), zorder=0)
        axes.annotate(
            f"{threshold:g}",
            (threshold, 1),
            (3 if side == "right" else -3, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=side,
            fontsize=10,
            color=MUTED,
        )
    if floor > 0:
        axes.axvspan(0, floor, color=RULE, alpha=0.35, linewidth=0, zorder=0)
    _rows(axes, names)
    axes.set_xlabel("population stability index")
    return figure


def row_bar_figure(values: NDArray[np.float64], names: Sequence[str], shown: int, unit: str) -> Figure:
    """The strongest values of one row, for a method that makes no claim to add up."""
    order = np.argsort(-np.abs(values), kind="stable")[:shown]
    figure = Figure(figsize=(WIDTH, 0.9 + ROW * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(order)), values[order], color=[RED if v >= 0 else BLUE for v in values[order]], height=0.62)
    axes.axvline(0, color=MUTED, linewidth=1)
    _rows(axes, [plain(shorten(names[i])) for i in order])
    axes.set_xlabel(f"attribution ({unit})")
    return figure


def grad_cam_figure(cam: NDArray[np.float32], standardised: NDArray[np.float64], names: Sequence[str]) -> Figure:
    """The input sequence with its Grad-CAM values, position by position."""
    length = len(cam)
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    axes = figure.subplots()
    finite = np.where(np.isfinite(standardised), standardised, 0)
    low, high = min(finite.min(), -1) - 0.3, max(finite.max(), 1) + 0.3
    image = axes.imshow(
        cam[None],
        cmap=MAPS,
        vmin=0,
        vmax=1,
        aspect="auto",
        extent=(-0.5, length - 0.5, low, high),
        interpolation="nearest",
    )
    axes.plot(
        range(length), standardised, color="#ff8a00", linewidth=1.4, marker="o" if length <= 60 else None, markersize=4
    )
    step = max(-(-length // 32), 1)
    axes.set_xticks(
        range(0, length, step),
        [plain(shorten(name, PLACE)) for name in names[::step]],
        rotation=60,
        rotation_mode="anchor",
        ha="right",
        fontsize=9 if length > 16 else 10,
    )
    axes.set_ylabel("input (training\nstandard deviations)")
    axes.set_ylim(low, high)
    figure.colorbar(image, ax=axes, label="Grad-CAM", aspect=30).outline.set_visible(False)
    return figure


def attention_figure(weights: NDArray[np.float64]) -> Figure:
    """The attention weights [query, key] as a heatmap."""
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(weights, cmap=MAPS, vmin=0, aspect="equal", interpolation="nearest")
    figure.colorbar(image, ax=axes, label="attention weight", aspect=30).outline.set_visible(False)
    axes.set(xlabel="key (position)", ylabel="query (position)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params("y", length=0)
    axes.spines["left"].set_visible(False)
