"""A batch of rows on its way: cleaned, predicted, explained."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.runtime.attribution import Attribution
from whyport.runtime.task import Prediction


@dataclass(frozen=True)
class CleanRows:
    """The rows of one batch that can be scored, and those that cannot."""

    matrix: NDArray[np.float32]
    """[N, F]: finite raw values, imputed where that was asked for."""
    kept: NDArray[np.int64]
    """[N]: which rows of the batch they are."""
    imputed_count: NDArray[np.int32]
    """[N]: how many of a row's values were imputed."""
    labels: NDArray[np.int64] | None
    """[N]: the target that the label column names, where there is one."""
    rejected: NDArray[np.int64]
    """[R]: the other rows of the batch."""
    reasons: list[str]
    """[R]: why."""


@dataclass(frozen=True)
class CleanBatch:
    """Some rows of an input that follow each other."""

    first_row: int
    """The number of the first row in its file."""
    copied: pa.RecordBatch
    """The columns that are copied to the output, of every row."""
    rows: CleanRows

    @classmethod
    def of_matrix(cls, matrix: NDArray[np.float32]) -> Self:
        """Rows [N, F] without missing values, and nothing to copy."""
        every = np.arange(len(matrix))
        rows = CleanRows(matrix, every, np.zeros(len(matrix), dtype=np.int32), None, every[:0], [])
        return cls(0, pa.record_batch({}), rows)

    @property
    def num_rows(self) -> int:
        """Rows of the input."""
        return int(self.copied.num_rows)


@dataclass(frozen=True)
class PredictedRows:
    """A batch's clean rows with what the model says of them."""

    source_file: str
    batch: CleanBatch
    scores: NDArray[np.float32]
    """[N, K]"""
    prediction: Prediction

    @property
    def rows(self) -> CleanRows:
        """The N rows."""
        return self.batch.rows

    @property
    def source_rows(self) -> NDArray[np.int64]:
        """The rows' numbers in their file, [N]."""
        return self.batch.first_row + self.rows.kept


@dataclass(frozen=True)
class ScoredRows:
    """A batch's clean rows with what the engines said about them."""

    predicted: PredictedRows
    targets: NDArray[np.int64]
    """[M] for the M rows that are explained or, where every target is, [M * K], row by row."""
    attributions: dict[str, Attribution]
    """By method, for the targets."""
    explained: NDArray[np.int64] | None = None
    """[M]: which of the N rows are explained, ascending; None where all are."""

    @property
    def rows(self) -> CleanRows:
        """The N rows."""
        return self.predicted.rows

    @property
    def prediction(self) -> Prediction:
        """What is predicted for the N rows."""
        return self.predicted.prediction

    @property
    def explained_count(self) -> int:
        """How many rows are explained."""
        return len(self.rows.kept) if self.explained is None else len(self.explained)
