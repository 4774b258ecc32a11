"""The metrics of a regression on rows that it was not trained with, and those of always saying the mean."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 2_000
"""The most rows whose measured and predicted values are kept."""

Floats = NDArray[np.float64]


def value_metrics(predicted: Floats, measured: Floats, targets: Sequence[str]) -> dict[str, float]:
    """R², mean absolute error and root mean squared error of values [N, K], the errors in the targets' units.

    With several targets each has its own, named `r2.<target>`, and the R² without a name is their mean. R² is left out
    where all measured values are equal.
    """
    found: dict[str, float] = {}
    shares = []
    for name, one, true in zip(targets, predicted.T, measured.T, strict=True):
        mark = "" if len(targets) == 1 else f".{name}"
        error = one - true
        distance = ((true - true.mean()) ** 2).sum()
        if distance > 0:
            shares.append(1 - (error**2).sum() / distance)
            found[f"r2{mark}"] = float(shares[-1])
        found[f"mae{mark}"] = float(np.abs(error).mean())
        found[f"rmse{mark}"] = float(np.sqrt((error**2).mean()))
    if len(shares) == len(targets) > 1:
        found = {"r2": float(np.mean(shares)), **found}
    return found


def value_baseline(trained: Floats, measured: Floats, targets: Sequence[str]) -> dict[str, Any]:
    """The metrics of always saying the mean of the training rows, whose values are `trained`, [M, K]."""
    mean = np.tile(trained.mean(axis=0), (len(measured), 1))
    rule = "always the mean" if len(targets) == 1 else "always the means"
    return {"rule": rule, **value_metrics(mean, measured, targets)}


def residuals(predicted: Floats, measured: Floats, targets: Sequence[str]) -> list[dict[str, Any]]:
    """Measured and predicted values of each target, of rows that are spread evenly over all of them."""
    rows = np.unique(np.linspace(0, len(measured) - 1, min(len(measured), SHOWN)).astype(np.int64))
    return [
        {"target": name, "measured": true.tolist(), "predicted": one.tolist()}
        for name, one, true in zip(targets, predicted[rows].T, measured[rows].T, strict=True)
    ]
