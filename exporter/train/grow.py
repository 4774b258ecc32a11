"""Grows an ensemble of trees: cells, stages, and how many of these the validation rows find best."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from whyport.exporter.data.dataset import Dataset
from whyport.exporter.data.outcome import CLASSIFICATION
from whyport.exporter.train.architectures import find_ensemble
from whyport.exporter.train.architectures.ensemble import Ensemble
from whyport.exporter.train.cells import Cells, make_cells
from whyport.exporter.train.checkpoint import EpochResult, best_epoch
from whyport.exporter.train.settings import BALANCED, TrainSettings
from whyport.exporter.train.stages import stage_results
from whyport.runtime.errors import TrainingError, UsageError
from whyport.runtime.task import Regression

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grown:
    """Trees that were grown."""

    ensemble: Ensemble
    estimator: Any
    """The fitted estimator of scikit-learn, over cells."""
    cells: Cells
    results: tuple[EpochResult, ...]
    """Loss and measure after each stage; empty where the trees are independent."""

    def outputs(self, rows: NDArray[np.floating[Any]]) -> dict[str, NDArray[Any]]:
        """The task's outputs [N, K] as scikit-learn computes them, of rows of codes [N, F] in float32 or float64."""
        cells = self.cells.of(rows)
        if not hasattr(self.estimator, "classes_"):
            return {Regression.score: self.estimator.predict(cells).reshape(len(rows), -1)}
        found = {"probabilities": self.estimator.predict_proba(cells)}
        if hasattr(self.estimator, "decision_function"):
            margin = self.estimator.decision_function(cells)
            found["margin"] = np.stack([-margin, margin], axis=1) if margin.ndim == 1 else margin
        return found


def grow(dataset: Dataset, settings: TrainSettings, threads: int = 1) -> Grown:
    """Grow trees on the training rows.

    With rows for the validation, as many stages are kept as had the smallest validation loss.

    Args:
        dataset: the rows to train, validate and test with.
        settings: the ensemble and how to grow it.
        threads: how many it may use; they change no tree.

    Raises:
        TrainingError: the settings do not fit the data. UsageError: options that the task or the trees have none of.
    """
    ensemble = find_ensemble(settings.architecture)(**settings.network)
    classifies = dataset.outcome.task == CLASSIFICATION
    balanced = settings.class_weights == BALANCED
    if balanced and not classifies:
        raise UsageError("--class-weights: a regression has no classes to weigh")
    if len(dataset.targets) > 1 and not classifies and not ensemble.several_targets:
        found = len(dataset.targets)
        raise TrainingError(
            f"architecture {settings.architecture!r}: expected one target of a regression, got {found}; 'forest' and "
            "the networks take several"
        )
    _check_validation(dataset, settings, ensemble)
    labels = dataset.train.labels
    cells, rows = make_cells(dataset.features, dataset.train.rows, _outcomes(dataset), settings.seed)
    estimator = ensemble.estimator(classifies=classifies, balanced=balanced, seed=settings.seed, threads=threads)
    expected = labels if classifies or labels.shape[1] > 1 else labels[:, 0]
    with threadpool_limits(limits=threads):
        estimator.fit(rows, expected)
        results = stage_results(dataset, estimator, cells, settings) if ensemble.stages else ()
        kept = best_epoch(results)
        if results and kept < estimator.get_params()[ensemble.stages]:
            # The first stages are the same whatever comes after them.
            estimator.set_params(**{ensemble.stages: kept}).fit(rows, expected)
    if dataset.validation is not None:
        logger.info("stage %d has the smallest validation loss, and is the last that is kept", kept)
    return Grown(ensemble, estimator, cells, results)


def _check_validation(dataset: Dataset, settings: TrainSettings, ensemble: Ensemble) -> None:
    name = settings.architecture
    if dataset.validation is not None and not ensemble.stages:
        raise UsageError(
            f"architecture {name!r}: --validation and --validation-fraction say which epoch is the best, and its trees "
            "are grown in none; --test measures it"
        )
    if settings.patience and dataset.validation is None:
        raise UsageError("--patience needs rows that say when to stop: --validation or --validation-fraction")


def _outcomes(dataset: Dataset) -> NDArray[np.float64]:
    """The outcomes of the training rows, [N, O]: the quantities, or whether a row is of a class; of two the second."""
    labels = dataset.train.labels
    if dataset.outcome.task != CLASSIFICATION:
        return np.asarray(labels, dtype=np.float64)
    hot: NDArray[np.float64] = np.eye(len(dataset.targets))[labels]
    return hot[:, 1:] if len(dataset.targets) == 2 else hot
