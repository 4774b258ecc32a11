"""The results of boosted trees after each stage, on every part of the data."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.data.dataset import Dataset, Labelled
from whyport.exporter.data.outcome import CLASSIFICATION
from whyport.exporter.train.cells import Cells
from whyport.exporter.train.checkpoint import EpochResult
from whyport.exporter.train.loop import is_over
from whyport.exporter.train.settings import BALANCED, TrainSettings

Outputs = NDArray[np.float64]
Measured = dict[str, float]


def stage_results(dataset: Dataset, estimator: Any, cells: Cells, settings: TrainSettings) -> tuple[EpochResult, ...]:
    """Loss and measure after each stage, as a network has them after each epoch.

    Of a classification these are the cross-entropy, weighted as the classes are, and the accuracy; of a regression the
    squared error over the training rows' variance, and R². The list ends where the patience does.

    Args:
        dataset: the rows.
        estimator: the fitted estimator, with all its stages.
        cells: what it is asked with.
        settings: the patience, and the weights of the classes.
    """
    classifies = dataset.outcome.task == CLASSIFICATION
    measure = _of_classes(dataset, settings) if classifies else _of_quantities(dataset)
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    asked = {name: part for name, part in parts.items() if part is not None}
    staged = estimator.staged_predict_proba if classifies else estimator.staged_predict
    found: list[EpochResult] = []
    for outputs in zip(*(staged(cells.of(part.rows)) for part in asked.values()), strict=True):
        figures: Measured = {}
        for (name, part), one in zip(asked.items(), outputs, strict=True):
            figures |= {f"{name}_{key}": value for key, value in measure(one, part).items()}
        found.append(EpochResult(len(found) + 1, figures))
        if is_over(found, settings.patience):
            break
    return tuple(found)


def _of_classes(dataset: Dataset, settings: TrainSettings) -> Callable[[Outputs, Labelled], Measured]:
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.targets))
    weights = 1 / counts if settings.class_weights == BALANCED else np.ones(len(counts))
    smallest = np.finfo(np.float64).tiny

    def measure(chances: Outputs, part: Labelled) -> Measured:
        losses = -np.log(np.maximum(chances[np.arange(len(chances)), part.labels], smallest))
        loss = np.average(losses, weights=weights[part.labels])
        return {"loss": float(loss), "accuracy": float((chances.argmax(axis=1) == part.labels).mean())}

    return measure


def _of_quantities(dataset: Dataset) -> Callable[[Outputs, Labelled], Measured]:
    variance = dataset.train.labels.var()

    def measure(values: Outputs, part: Labelled) -> Measured:
        measured = part.labels[:, 0]
        error, distance = ((values - measured) ** 2).mean(), measured.var()
        return {"loss": float(error / variance), "r2": float(1 - error / distance) if distance > 0 else 0.0}

    return measure
