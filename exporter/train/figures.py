"""What a training run leaves to look at: curves, confusion matrix, results table, classification report."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, fields

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from whyport.exporter.train.checkpoint import EpochResult

DPI = 110


def training_files(
    results: Sequence[EpochResult], predicted: NDArray[np.int64], actual: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, bytes]:
    """The files by name.

    Args:
        results: one entry an epoch.
        predicted: class indices of the test rows by the trained network, [N].
        actual: their true class indices, [N].
        classes: the class names.
    """
    curves = draw_curves(results)
    matrix = confusion(predicted, actual, len(classes))
    return {
        "results.csv": results_csv(results).encode(),
        "curves.eps": _render(curves, "eps"),
        "curves.png": _render(curves, "png"),
        "confusion_matrix.png": _render(draw_confusion(matrix, classes), "png"),
        "classification_report.txt": report(predicted, actual, classes).encode(),
    }


def results_csv(results: Sequence[EpochResult]) -> str:
    """One line an epoch, with a header."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(EpochResult)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(result) for result in results)
    return buffer.getvalue()


def draw_curves(results: Sequence[EpochResult]) -> Figure:
    """Loss and accuracy by epoch, training and test."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = [result.epoch for result in results]
    for axes, measure in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part in ("train", "test"):
            axes.plot(epochs, [getattr(result, f"{part}_{measure}") for result in results], label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy" if measure == "loss" else measure)
        axes.legend(framealpha=1)  # EPS knows no transparency
    return figure


def confusion(predicted: NDArray[np.int64], actual: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """How many rows of each actual class (first axis) were predicted as each class, [C, C]."""
    counts = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def draw_confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """A confusion matrix as a heatmap with the counts in its cells."""
    side = 2.5 + 0.45 * len(classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap="Blues", vmin=0)
    figure.colorbar(image, ax=axes, label="rows")
    axes.set_xticks(range(len(classes)), labels=list(map(_plain, classes)), rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), labels=list(map(_plain, classes)))
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    for (row, column), count in np.ndenumerate(matrix):
        dark = count > matrix.max() / 2
        axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    return figure


def report(predicted: NDArray[np.int64], actual: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Precision, recall and F1 by class, as text."""
    from sklearn.metrics import classification_report

    text: str = classification_report(
        actual, predicted, labels=range(len(classes)), target_names=list(classes), digits=4, zero_division=0
    )
    return text


def _plain(name: str) -> str:
    return name.replace("$", r"\$")  # else matplotlib reads mathematics


def _render(figure: Figure, file_format: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=file_format, dpi=DPI)
    # The same run gives the same bytes.
    return re.sub(rb"(?m)^%%CreationDate:.*\n", b"", buffer.getvalue()) if file_format == "eps" else buffer.getvalue()
