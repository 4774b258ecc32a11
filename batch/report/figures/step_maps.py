"""Figures of what each step of a sequence counts, in methods that tell no features apart."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import AXIS, BLUE, WIDTH, plain, shorten
from whyport.batch.report.figures.plots import MAPS

LINE = "#ff8a00"
MARKED = 60
"""The steps up to which each has a mark."""


def steps_figure(weights: NDArray[np.float64], unit: str) -> Figure:
    """What each step counts, [steps], as bars."""
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(len(weights)), weights, 0.9, color=BLUE)
    axes.set(xlabel="step", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def looked_at_figure(
    weights: NDArray[np.float64],
    standardised: NDArray[np.float64],
    labels: Sequence[str],
    shown: Sequence[int],
    unit: str,
) -> Figure:
    """The series of some features, each over what the steps count.

    Args:
        weights: what each step counts, [steps].
        standardised: the values in training standard deviations, [steps, features].
        labels: the names of the features.
        shown: the features that are drawn, the first on top.
        unit: the unit of the weights.
    """
    figure = Figure(figsize=(WIDTH, 1.7 + 1.25 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False).ravel()
    steps, largest = np.arange(len(weights)), float(weights.max(initial=0)) or 1.0
    for axes, i in zip(panels, shown, strict=True):
        series = standardised[:, i]
        finite = series[np.isfinite(series)]
        low, high = min(finite.min(initial=0), -1) - 0.3, max(finite.max(initial=0), 1) + 0.3
        image = axes.imshow(
            weights[None],
            cmap=MAPS,
            vmin=0,
            vmax=largest,
            aspect="auto",
            extent=(-0.5, len(weights) - 0.5, low, high),
            interpolation="nearest",
        )
        mark = "o" if len(weights) <= MARKED else None
        axes.plot(steps, series, color=LINE, linewidth=1.4, marker=mark, markersize=4)
        axes.set_ylabel(plain(shorten(labels[i], AXIS)), rotation=0, ha="right", va="center")
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(MaxNLocator(3))
    panels[-1].set_xlabel("step")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(image, ax=list(panels), location="bottom", label=unit, aspect=50).outline.set_visible(False)
    return figure
