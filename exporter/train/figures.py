"""The curves and the table of a training, and how pictures become files."""

import csv
import io
import re
from collections.abc import Sequence

from matplotlib.figure import Figure

from whyport.exporter.train.checkpoint import EpochResult

DPI = 110

LABELS = {"accuracy": "accuracy", "r2": "R²"}
"""By measure: its label on an axis."""


def results_csv(results: Sequence[EpochResult]) -> str:
    """One line an epoch, with a header."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["epoch", *results[0].figures], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": result.epoch, **result.figures} for result in results)
    return buffer.getvalue()


def draw_curves(results: Sequence[EpochResult], loss: str) -> Figure:
    """Loss and measure by epoch and by part of the data.

    Args:
        results: one entry an epoch.
        loss: the name of the loss, with its unit.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = [result.epoch for result in results]
    names = list(results[0].figures)
    measures = list(dict.fromkeys(name.split("_", 1)[1] for name in names))
    for axes, measure in zip(figure.subplots(1, 2), measures, strict=True):
        for name in names:
            part, _, of = name.partition("_")
            if of == measure:
                axes.plot(epochs, [result.figures[name] for result in results], label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel(loss if measure == "loss" else LABELS[measure])
        axes.legend(framealpha=1)  # EPS knows no transparency
    return figure


def plain(name: str) -> str:
    """The text as matplotlib draws it letter by letter."""
    return name.replace("$", r"\$")  # else matplotlib reads mathematics


def picture_files(name: str, figure: Figure) -> dict[str, bytes]:
    """A picture as EPS and as PNG, by file name."""
    return {f"{name}.{ending}": _render(figure, ending) for ending in ("eps", "png")}


def _render(figure: Figure, file_format: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=file_format, dpi=DPI)
    # The same run gives the same bytes.
    return re.sub(rb"(?m)^%%CreationDate:.*\n", b"", buffer.getvalue()) if file_format == "eps" else buffer.getvalue()
