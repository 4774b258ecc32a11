"""Pictures and tables of a classifier on the test rows: the confusion matrix, and precision and recall by class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from whyport.exporter.train.figures import plain


def confusion(predicted: NDArray[np.int64], actual: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The number of rows of each actual class (first axis) that were predicted as each class, [C, C]."""
    counts = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def draw_confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """A confusion matrix as a heatmap with the counts in its cells."""
    side = 2.5 + 0.45 * len(classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(len(classes) + 1) - 0.5
    image = axes.pcolormesh(edges, edges, matrix, cmap="Blues", vmin=0)  # as EPS, pixels would take half a megabyte
    axes.set(aspect="equal", ylim=(edges[-1], edges[0]))
    figure.colorbar(image, ax=axes, label="rows")
    axes.set_xticks(range(len(classes)), labels=list(map(plain, classes)), rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), labels=list(map(plain, classes)))
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
