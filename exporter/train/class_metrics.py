"""The metrics of a classifier on rows that it was not trained with, and those of a guess by the classes' shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
"""The most bins of a calibration curve."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def class_metrics(predicted: Labels, probabilities: Floats, actual: Labels) -> dict[str, float]:
    """The metrics over all rows; what the rows leave undefined is left out.

    With two classes, AUC, average precision and Brier score are the second class's. With more, AUC and average
    precision are the means over one class against the rest, and the Brier score sums over the classes.

    Args:
        predicted: indices of the predicted classes, [N].
        probabilities: [N, C], with rows that sum to 1.
        actual: indices of the true classes, [N].
    """
    from sklearn.metrics import (
        accuracy_score,
        average_precision_score,
        balanced_accuracy_score,
        log_loss,
        roc_auc_score,
    )

    classes = probabilities.shape[1]
    hot = np.eye(classes)[actual]
    found = {"accuracy": accuracy_score(actual, predicted)}
    if hot.any(axis=0).all():
        truths, chances = (hot[:, 1], probabilities[:, 1]) if classes == 2 else (hot, probabilities)
        found["balanced_accuracy"] = balanced_accuracy_score(actual, predicted)
        found["auc"] = roc_auc_score(truths, chances, average="macro")
        found["average_precision"] = average_precision_score(truths, chances, average="macro")
    found["log_loss"] = log_loss(actual, probabilities, labels=range(classes))
    found["brier"] = ((probabilities - hot) ** 2).sum(axis=1).mean() / (2 if classes == 2 else 1)
    return {name: float(value) for name, value in found.items()}


def class_baseline(trained: Labels, actual: Labels, classes: Sequence[str]) -> dict[str, Any]:
    """The metrics of always saying the commonest class of the training rows, with all classes' shares as probabilities.

    Args:
        trained: classes of the training rows, [M].
        actual: classes of the rows that are measured, [N].
        classes: the class names.
    """
    shares = np.bincount(trained, minlength=len(classes)) / len(trained)
    commonest = int(shares.argmax())
    metrics = class_metrics(np.full(len(actual), commonest), np.tile(shares, (len(actual), 1)), actual)
    return {"rule": f"always {classes[commonest]}", **metrics}


def per_class(predicted: Labels, probabilities: Floats, actual: Labels, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Rows, precision, recall, F1, AUC and average precision of each class against the rest; null where undefined."""
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    every = precision_recall_fscore_support(actual, predicted, labels=range(len(classes)), zero_division=0)
    rows = []
    for index, (name, precision, recall, f1, count) in enumerate(zip(classes, *every, strict=True)):
        hot, chances = actual == index, probabilities[:, index]
        defined = 0 < count < len(actual)
        rows.append(
            {
                "name": name,
                "rows": int(count),
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                "auc": float(roc_auc_score(hot, chances)) if defined else None,
                "average_precision": float(average_precision_score(hot, chances)) if defined else None,
            }
        )
    return rows


def calibration(probabilities: Floats, actual: Labels, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The calibration curve of each class, or of the second one of two.

    The bins have equally many rows, cut at quantiles of the probability, as scikit-learn's `calibration_curve` has them
    with strategy "quantile".
    """
    shown = range(1, 2) if len(classes) == 2 else range(len(classes))
    curves = []
    for index in shown:
        chances, hot = probabilities[:, index], actual == index
        edges = np.percentile(chances, np.linspace(0, 100, BINS + 1))
        places = np.searchsorted(edges[1:-1], chances)
        counts = np.bincount(places, minlength=BINS)
        filled = np.flatnonzero(counts)
        predicted = np.bincount(places, weights=chances, minlength=BINS)[filled] / counts[filled]
        observed = np.bincount(places, weights=hot, minlength=BINS)[filled] / counts[filled]
        curves.append(
            {
                "target": classes[index],
                "predicted": predicted.tolist(),
                "observed": observed.tolist(),
                "rows": counts[filled].tolist(),
            }
        )
    return curves
