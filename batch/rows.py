"""A batch of rows in its stages: cleaned, predicted, explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.methods.players import Labels
from whyport.batch.reasons.rule import ReasonRule, Reasons
from whyport.runtime.attribution import Attribution
from whyport.runtime.inputs.encoding import Unseen
from whyport.runtime.inputs.texts.tokenizer import Tokens
from whyport.runtime.task import Prediction


@dataclass(frozen=True)
class CleanRows:
    """The rows of one batch that can be scored, and the rows that cannot."""

    matrix: NDArray[np.float32]
    """[N, F]: finite raw values, imputed if that was asked for."""
    kept: NDArray[np.int64]
    """[N]: the indices of these rows in the batch."""
    imputed_count: NDArray[np.int32]
    """[N]: the number of imputed values per row."""
    labels: NDArray[np.int64] | None
    """[N]: the target that the label column names, if there is one."""
    rejected: NDArray[np.int64]
    """[R]: the indices of the other rows of the batch."""
    reasons: list[str]
    """[R]: why each was rejected."""
    unseen: Unseen = field(default_factory=Unseen)
    """The values of the batch's rows, rejected ones too, that training has not seen."""

    def without(self, rows: NDArray[np.int64], reasons: Sequence[str]) -> "CleanRows":
        """The same rows with some of the N rejected too.

        Args:
            rows: which, ascending.
            reasons: why each of them is rejected.
        """
        rejected = np.concatenate([self.rejected, self.kept[rows]])
        order = np.argsort(rejected)
        texts = [*self.reasons, *reasons]
        return CleanRows(
            np.delete(self.matrix, rows, axis=0),
            np.delete(self.kept, rows),
            np.delete(self.imputed_count, rows),
            None if self.labels is None else np.delete(self.labels, rows),
            rejected[order],
            [texts[i] for i in order],
            self.unseen,
        )


@dataclass(frozen=True)
class CleanBatch:
    """Consecutive rows of an input."""

    first_row: int
    """The number of the first row in its file."""
    copied: pa.RecordBatch
    """The columns to copy to the output, for every row."""
    rows: CleanRows
    texts: Mapping[str, pa.Array] = field(default_factory=dict)
    """The texts that are cut into tokens, by column, for every row; none where nobody asks for the tokens."""

    @classmethod
    def of_matrix(cls, matrix: NDArray[np.float32]) -> Self:
        """A batch of rows [N, F] without missing values, and nothing to copy."""
        every = np.arange(len(matrix))
        rows = CleanRows(matrix, every, np.zeros(len(matrix), dtype=np.int32), None, every[:0], [])
        return cls(0, pa.record_batch({}), rows)

    @property
    def num_rows(self) -> int:
        """The number of the input's rows."""
        return int(self.copied.num_rows)


@dataclass(frozen=True)
class PredictedRows:
    """A batch's clean rows with the model's predictions; rows without a finite one are rejected in `batch`."""

    source_file: str
    batch: CleanBatch
    scores: NDArray[np.float32]
    """[N, K]"""
    prediction: Prediction

    @property
    def rows(self) -> CleanRows:
        """The N clean rows."""
        return self.batch.rows

    @property
    def source_rows(self) -> NDArray[np.int64]:
        """The rows' numbers in their file, [N]."""
        return self.batch.first_row + self.rows.kept


@dataclass(frozen=True)
class ScoredRows:
    """A batch's clean rows with predictions and explanations."""

    predicted: PredictedRows
    targets: NDArray[np.int64]
    """[M] for M explained rows; [M * K], row by row, where every target is explained."""
    attributions: dict[str, Attribution]
    """The attributions of the targets, by method."""
    explained: NDArray[np.int64] | None = None
    """[M]: the indices of the explained rows among the N, ascending; None where all are explained."""
    tokens: Mapping[str, Sequence[Tokens]] = field(default_factory=dict)
    """The tokens, or words, that have shares in the explained rows, [M], by the text's input."""
    steps: NDArray[np.int64] | None = None
    """[M, S]: the numbers of these and of steps in the S inputs of varying length; None for those of the rows."""
    segments: Sequence[Labels] = ()
    """The segments of the pictures of the explained rows, [M]; empty where none are cut."""
    reasons: tuple[ReasonRule, Reasons] | None = None
    """The reasons against the outcome of the explained rows, [M], with their rule; None where none are asked for."""

    @property
    def rows(self) -> CleanRows:
        """The N clean rows."""
        return self.predicted.rows

    @property
    def prediction(self) -> Prediction:
        """The prediction for the N rows."""
        return self.predicted.prediction

    def with_reasons(self, rule: ReasonRule | None) -> "ScoredRows":
        """The same with the reasons that follow from the shares; as it is without a rule."""
        if rule is None:
            return self
        attribution = self.attributions[rule.choice.method]
        return replace(self, reasons=(rule, rule.of(attribution.values, self.targets, self.explained_rows)))

    @property
    def explained_rows(self) -> NDArray[np.float32]:
        """The rows that are explained, [M, F]."""
        return self.rows.matrix if self.explained is None else self.rows.matrix[self.explained]

    @property
    def explained_count(self) -> int:
        """The number of explained rows."""
        return len(self.rows.kept) if self.explained is None else len(self.explained)
