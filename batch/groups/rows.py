"""Columns of a run's scored rows: those that it kept, and others read again from its inputs."""

from collections.abc import Generator, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import take_rows
from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.review.finished_run import FinishedRun, PartBatch
from whyport.batch.review.inputs import RunInputs
from whyport.runtime.errors import AuditError, WhyportError

Batch = tuple[int, pa.RecordBatch]


class RowColumns:
    """Columns beside the scored rows of a run.

    Args:
        run: the run.
        names: the columns.
    """

    def __init__(self, run: FinishedRun, names: Sequence[str]) -> None:
        self._run = run
        self.kept = [name for name in names if name in run.settings.keep]
        """The columns that the output has."""
        self.read = [name for name in names if name not in run.settings.keep]
        """The columns that are read again from the inputs."""

    @staticmethod
    def known(run: FinishedRun) -> list[str]:
        """The columns that a run has: the kept ones, and those of its first input where that is still there."""
        kept = list(run.settings.keep)
        if not run.parts:
            return kept
        try:
            names = RunInputs(run, ()).open(run.parts[0].index).schema.names
        except WhyportError:
            return kept
        return [*kept, *(name for name in dict.fromkeys(names) if name not in kept)]

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[PartBatch, Mapping[str, pa.Array]]]:
        """All scored rows in order, some at a time, with these columns of the output and the columns beside them.

        Raises DataError if a part or an input cannot be read, AuditError for an input that has changed.
        """
        stream, index = _Stream(iter(())), -1
        for batch in self._run.batches([SOURCE_ROW, *self.kept, *columns]):
            beside = {name: _joined(batch.table[name]) for name in self.kept}
            if self.read:
                if batch.index != index:
                    stream.close()
                    stream, index = _Stream(self._rows(batch.index)), batch.index
                again = stream.take(batch.table[SOURCE_ROW].to_numpy(), batch.source_file)
                beside |= {name: again.column(name) for name in self.read}
            yield batch, beside

    def _rows(self, index: int) -> Iterator[Batch]:
        inputs = RunInputs(self._run, self.read)
        file = inputs.open(index)
        lacking = [name for name in self.read if name not in file.schema.names]
        if lacking:
            raise AuditError(f"expected the column {lacking[0]!r}, which the first input has, in {file.name}")
        return inputs.batches(file)


class _Stream:
    """The rows of one input, of which ascending ones are taken."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._held: Batch | None = None

    def take(self, rows: NDArray[np.int64], place: str) -> pa.RecordBatch:
        """The rows of these numbers, which come after all that were taken before."""
        taken, missing = list[pa.RecordBatch](), len(rows)
        while True:
            if self._held is None:
                self._held = next(self._batches, None)
                if self._held is None:
                    raise AuditError(f"expected {missing} more rows that were scored, got none, in {place}")
            first, batch = self._held
            inside = rows[(rows >= first) & (rows < first + batch.num_rows)]
            taken.append(take_rows(batch, inside - first))
            missing -= len(inside)
            if not missing:
                return pa.concat_batches(taken)
            self._held = None

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self._batches, Generator):
            self._batches.close()


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
