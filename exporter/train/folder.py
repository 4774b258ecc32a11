"""The files of a bundle's folder training/: what the training and its evaluation leave to look at."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.data.dataset import Dataset
from whyport.exporter.data.outcome import CLASSIFICATION
from whyport.exporter.train.checkpoint import EpochResult
from whyport.exporter.train.class_figures import confusion, draw_confusion, report
from whyport.exporter.train.evaluation import Evaluation
from whyport.exporter.train.figures import draw_curves, picture_files, results_csv
from whyport.exporter.train.value_figures import draw_measured, draw_residuals
from whyport.runtime.task import Task

METRICS = "metrics.json"

LOSS_LABELS = {
    "cross-entropy": "cross-entropy",
    "mse": "squared error / variance",
    "mae": "absolute error / standard deviation",
    "huber": "Huber loss, in standard deviations",
}
"""By loss: its label on an axis."""


def record_files(results: Sequence[EpochResult], loss: str) -> dict[str, bytes]:
    """The table and the curves of a training by file name; none where it has no epochs."""
    if not results:
        return {}
    return {
        "results.csv": results_csv(results).encode(),
        **picture_files("curves", draw_curves(results, LOSS_LABELS[loss])),
    }


def evaluation_files(
    dataset: Dataset, task: Task, outputs: Mapping[str, NDArray[Any]], evaluation: Evaluation
) -> dict[str, bytes]:
    """The evaluation by file name, with its pictures; the arguments are those of `evaluate`, and what it gave."""
    metrics = {METRICS: evaluation.to_json()}
    if evaluation.residuals is not None:
        shown = evaluation.residuals, evaluation.units
        return {
            **metrics,
            **picture_files("measured_against_predicted", draw_measured(*shown)),
            **picture_files("residuals", draw_residuals(*shown)),
        }
    if dataset.outcome.task != CLASSIFICATION:
        return metrics
    predicted, actual = np.asarray(task.predicted(outputs[task.score])), dataset.test.labels
    matrix = confusion(predicted, actual, len(dataset.targets))
    return {
        **metrics,
        **picture_files("confusion_matrix", draw_confusion(matrix, dataset.targets)),
        "classification_report.txt": report(predicted, actual, dataset.targets).encode(),
    }
