"""A trained model's evaluation on the test rows, as training/metrics.json keeps it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.data.dataset import Dataset
from whyport.exporter.data.outcome import CLASSIFICATION
from whyport.exporter.train.class_metrics import calibration, class_baseline, class_metrics, per_class
from whyport.exporter.train.value_metrics import residuals, value_baseline, value_metrics
from whyport.runtime.task import Task

RULE = "rule"
"""The key of the baseline's rule in words."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a model on the test rows, beside those of a guess that knows no feature."""

    task: str
    """The task: classification or regression."""
    targets: tuple[str, ...]
    units: tuple[str | None, ...]
    rows: dict[str, int]
    """The number of rows that trained, validated and tested."""
    metrics: dict[str, float]
    """By name; a metric that the test rows leave undefined is missing."""
    baseline: dict[str, Any]
    """The metrics of the guess, and its `rule` in words."""
    per_class: list[dict[str, Any]] | None
    """Each class against the rest; null for a regression."""
    calibration: list[dict[str, Any]] | None
    """Predicted and observed shares by bin; null for a regression."""
    residuals: list[dict[str, Any]] | None
    """Measured and predicted values of each target; null for a classification."""
    warnings: list[dict[str, str]]
    """Column, kind and text of each feature column that looks like a mistake."""

    def to_json(self) -> bytes:
        """The content of metrics.json."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def flat(self) -> dict[str, float]:
        """The metrics as the sidecar keeps them: `test_...` of the model, `baseline_...` of the guess."""
        baseline = {name: value for name, value in self.baseline.items() if name != RULE}
        return {
            **{f"test_{name}": value for name, value in self.metrics.items()},
            **{f"baseline_{name}": value for name, value in baseline.items()},
        }


def evaluate(dataset: Dataset, task: Task, outputs: Mapping[str, NDArray[Any]]) -> Evaluation:
    """Measure a model's outputs on the test rows.

    Args:
        dataset: the rows that the model was trained and tested with.
        task: what its outputs mean.
        outputs: the outputs by name for the test rows, [N, K] each.
    """
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    measure = _of_classes if dataset.outcome.task == CLASSIFICATION else _of_quantities
    return Evaluation(
        task=dataset.outcome.task,
        targets=dataset.targets,
        units=dataset.outcome.units,
        rows={name: 0 if part is None else len(part.rows) for name, part in parts.items()},
        warnings=[asdict(suspect) for suspect in dataset.suspects],
        **measure(dataset, task, outputs),
    )


def _of_classes(dataset: Dataset, task: Task, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    actual, targets = dataset.test.labels, dataset.targets
    predicted = np.asarray(task.predicted(outputs[task.score]))
    chances = outputs["probabilities"].astype(np.float64)
    chances = chances / chances.sum(axis=1, keepdims=True)
    return {
        "metrics": class_metrics(predicted, chances, actual),
        "baseline": class_baseline(dataset.train.labels, actual, targets),
        "per_class": per_class(predicted, chances, actual, targets),
        "calibration": calibration(chances, actual, targets),
        "residuals": None,
    }


def _of_quantities(dataset: Dataset, task: Task, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    values, measured, targets = outputs[task.score].astype(np.float64), dataset.test.labels, dataset.targets
    return {
        "metrics": value_metrics(values, measured, targets),
        "baseline": value_baseline(dataset.train.labels, measured, targets),
        "per_class": None,
        "calibration": None,
        "residuals": residuals(values, measured, targets),
    }
