"""The training's record in a bundle: the results of every epoch, and what the model does on the test rows."""

import csv
import io
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.gather.evaluation import Evaluation
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import BundleFormatError

RESULTS = "training/results.csv"
REPORT = "training/classification_report.txt"
METRICS = "training/metrics.json"


@dataclass(frozen=True)
class TrainingRecord:
    """The record of a training; None for anything that is missing."""

    curves: dict[str, NDArray[np.float64]] | None
    """One value per epoch, by column: `epoch`, and for example `train_loss`, `test_accuracy`."""
    report: str | None
    """Precision and recall by class on the test rows, as text."""
    evaluation: Evaluation | None
    problem: str
    """The reason why the evaluation cannot be shown; empty where it can, and where there is none."""

    @classmethod
    def read(cls, bundle: Bundle) -> Self:
        """Read a bundle's folder `training/`."""

        def content(name: str) -> bytes | None:
            return bundle.read_bytes(name) if name in bundle.sidecar.files else None

        results, report, metrics = content(RESULTS), content(REPORT), content(METRICS)
        evaluation, problem = None, ""
        try:
            evaluation = None if metrics is None else Evaluation.read(metrics.decode())
        except (BundleFormatError, UnicodeDecodeError) as error:
            problem = f"The evaluation in {METRICS} is not shown: {error}."
        return cls(
            None if results is None else _columns(results.decode()),
            None if report is None else report.decode(),
            evaluation,
            problem,
        )


def _columns(text: str) -> dict[str, NDArray[np.float64]] | None:
    rows = list(csv.DictReader(io.StringIO(text)))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]} if rows else None
