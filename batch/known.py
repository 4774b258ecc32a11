"""What is known of a row before it is explained: the columns that decide whether it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.columns import CleanRows
from batch.layout import PREDICTION, PROBABILITY
from batch.output import IDENTITY, IMPUTED_COUNT
from batch.taking import take
from batch.targets import ClassChoice

SCORE = "score."


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
class KnownColumns:
    """The columns of the output that are there before anything is explained, as they are written."""

    classes: tuple[str, ...]
    choice: ClassChoice

    def schema(self, kept: Sequence[pa.Field]) -> pa.Schema:
        """Their names and types with these kept columns."""
        explained = [("explained_class", pa.string()), ("score", pa.float32())]
        if self.choice.is_all:
            explained = [(f"{SCORE}{name}", pa.float32()) for name in self.classes]
        probabilities = [(f"{PROBABILITY}{name}", pa.float32()) for name in self.classes]
        return pa.schema([*IDENTITY, *kept, (PREDICTION, pa.string()), *probabilities, *explained, IMPUTED_COUNT])

    def array(self, name: str, rows: PredictedRows) -> pa.Array:
        """One of them, by its name, [N]."""
        of_class = {f"{PROBABILITY}{label}": rows.probabilities[:, k] for k, label in enumerate(self.classes)}
        if self.choice.is_all:
            of_class |= {f"{SCORE}{label}": rows.logits[:, k] for k, label in enumerate(self.classes)}
        if name in of_class:
            return pa.array(np.ascontiguousarray(of_class[name]))
        predicted = rows.probabilities.argmax(axis=1)
        targets = self.choice.targets(predicted, rows.rows.labels)
        match name:
            case "source_file":
                return pa.repeat(rows.source_file, len(predicted))
            case "source_row":
                return pa.array(rows.source_rows)
            case "prediction":
                return self._labels(predicted)
            case "explained_class" if not self.choice.is_all:
                return self._labels(targets)
            case "score" if not self.choice.is_all:
                return pa.array(np.take_along_axis(rows.logits, targets[:, None], axis=1)[:, 0])
            case "imputed_count":
                return pa.array(rows.rows.imputed_count)
        return take(rows.batch.column(name), rows.rows.kept)

    def _labels(self, indices: NDArray[np.int64]) -> pa.Array:
        return pa.array(self.classes, pa.string()).take(pa.array(indices))
