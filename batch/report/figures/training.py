"""Figures of a training: its curves, and how the probabilities fit what happened."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import BLUE, MUTED, RED, SERIES, WIDTH, plain, shorten
from whyport.batch.report.gather.evaluation import Calibration

PARTS = {"train": BLUE, "validation": "#13a57c", "test": RED}
MEASURES = {"loss": "loss", "accuracy": "accuracy", "r2": "R²"}
"""By the end of a column's name: the label of the axis."""


def curves_figure(curves: Mapping[str, NDArray[np.float64]], loss: str) -> Figure:
    """Each measure by epoch, on each part of the rows; `loss` is the label of the loss."""
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    names = [name for name in curves if name.partition("_")[0] in PARTS]
    measures = list(dict.fromkeys(name.partition("_")[2] for name in names))[:2]
    for axes, measure in zip(figure.subplots(1, 2, squeeze=False)[0], measures, strict=False):
        for part, colour in PARTS.items():
            name = f"{part}_{measure}"
            if name in curves:
                marker = "o" if len(curves["epoch"]) == 1 else None
                axes.plot(curves["epoch"], curves[name], color=colour, label=part, linewidth=1.6, marker=marker)
        axes.set(xlabel="epoch", ylabel=plain(loss if measure == "loss" else MEASURES.get(measure, measure)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=11)
    for axes in figure.axes[len(measures) :]:
        axes.set_visible(False)
    return figure


def calibration_figure(curves: Sequence[Calibration]) -> Figure:
    """Observed shares over predicted ones, with the line on which both are equal."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(3, 2))
    for each, colour in zip(curves, SERIES, strict=False):
        name = plain(shorten(each.target))
        axes.plot(each.predicted, each.observed, color=colour, linewidth=1.6, marker="o", markersize=5, label=name)
    axes.set(xlabel="predicted probability", ylabel="share that it was", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(fontsize=11)
    return figure
