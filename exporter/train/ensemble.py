"""An ensemble of trees that is grown and compiled."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from whyport.exporter.data.dataset import Dataset
from whyport.exporter.data.outcome import CLASSIFICATION
from whyport.exporter.draft import Draft
from whyport.exporter.train.architectures import find_ensemble
from whyport.exporter.train.checkpoint import best_epoch
from whyport.exporter.train.folder import record_files
from whyport.exporter.train.grow import grow
from whyport.exporter.train.objective import loss_of
from whyport.exporter.train.settings import TrainSettings
from whyport.exporter.train.trained import Trained
from whyport.exporter.trees.compile import compile_trees
from whyport.exporter.verify.engines import model_outputs
from whyport.exporter.verify.native import verify_native
from whyport.runtime.bundle.columns import MODEL, Column

PARITY_ROWS = 100_000
"""The adversarial rows on which the graph must give what scikit-learn gives."""

ADVICE = "standardise its targets, or grow it with other settings"


def ensemble_columns(columns: Sequence[Column], name: str) -> tuple[Column, ...]:
    """The columns as an ensemble takes them: missing numbers are its own affair, unless it imputes."""
    if find_ensemble(name).imputes:
        return tuple(columns)
    return tuple(column if column.categories else replace(column, missing=MODEL, imputation=None) for column in columns)


def train_ensemble(dataset: Dataset, settings: TrainSettings, draft: Draft) -> Trained:
    """Grow an ensemble and compile it.

    Args:
        dataset: the rows to train, validate and test with.
        settings: the ensemble and how to grow it.
        draft: what is known of the bundle.

    Raises:
        TrainingError: the settings do not fit the data. UsageError: options that the task or the trees have none of.
        ParityError: the graph does not compute what the trees do.
    """
    grown = grow(dataset, settings, torch.get_num_threads())
    if dataset.outcome.task == CLASSIFICATION:
        draft = replace(draft, task_name=find_ensemble(settings.architecture).classification.name)
    found = grown.ensemble.read(grown.estimator)
    compiled = compile_trees(replace(found, trees=grown.cells.over_rows(found.trees)), draft)
    sample = dataset.train.rows.astype(np.float64)
    native = verify_native(replace(draft, precise=sample), compiled, grown.outputs, PARITY_ROWS, ADVICE)
    results = grown.results
    return Trained(
        draft,
        compiled,
        model_outputs(compiled, draft.feeds)(dataset.test.rows),
        results[best_epoch(results) - 1].figures if results else {},
        record_files(results, loss_of(dataset, settings)),
        native.parity,
    )
