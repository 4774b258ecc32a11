"""From the Arrow columns of a file to rows that can be scored, and the reasons why others cannot."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.runtime.attribution import Attribution


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
    """[N]: the class that the label column names, where there is one."""
    rejected: NDArray[np.int64]
    """[R]: the other rows of the batch."""
    reasons: list[str]
    """[R]: why."""


@dataclass(frozen=True)
class PredictedRows:
    """A batch's clean rows with what the model says of them."""

    source_file: str
    first_row: int
    """The number of the batch's first row in its file."""
    batch: pa.RecordBatch
    rows: CleanRows
    logits: NDArray[np.float32]
    """[N, C]"""
    probabilities: NDArray[np.float32]
    """[N, C]"""

    @property
    def source_rows(self) -> NDArray[np.int64]:
        """The rows' numbers in their file, [N]."""
        return self.first_row + self.rows.kept


@dataclass(frozen=True)
class ScoredRows:
    """A batch's clean rows with what the engines said about them."""

    rows: CleanRows
    probabilities: NDArray[np.float32]
    """[N, C]"""
    predicted: NDArray[np.int64]
    """[N]: the class that is most probable."""
    targets: NDArray[np.int64]
    """[M] for the M rows that are explained or, where every class is, [M * C], row by row."""
    attributions: dict[str, Attribution]
    """By method, for the targets."""
    explained: NDArray[np.int64] | None = None
    """[M]: which of the N rows are explained, ascending; None where all are."""

    @property
    def explained_count(self) -> int:
        """How many rows are explained."""
        return len(self.rows.kept) if self.explained is None else len(self.explained)


@dataclass(frozen=True)
class CleanBatch:
    """Some rows of an input that follow each other."""

    first_row: int
    copied: pa.RecordBatch
    """The columns that are copied to the output, of every row."""
    rows: CleanRows

    @property
    def num_rows(self) -> int:
        """Rows of the input."""
        return int(self.copied.num_rows)
