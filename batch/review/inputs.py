"""The inputs of a finished run, read again if they have not changed."""

from collections.abc import Generator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import take_rows
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.source.files import hive_partitions
from whyport.batch.source.kept import is_widened
from whyport.batch.source.parquet import INT96_UNIT, SourceFile, open_source
from whyport.runtime.errors import AuditError
from whyport.runtime.store.path import as_place


class RunInputs:
    """Reads a run's inputs again.

    Args:
        run: the run.
        columns: the columns to read.
    """

    def __init__(self, run: FinishedRun, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._inputs = run.inputs
        self._batch_rows = run.settings.batch_rows
        self._partitions = hive_partitions([as_place(mark.source_file) for mark in run.inputs])

    def open(self, index: int, kept: Sequence[pa.Field] = ()) -> SourceFile:
        """Open the input of that index; raises DataError if it cannot be read, AuditError if it has changed.

        Args:
            index: the input's index among all inputs.
            kept: the kept columns in the output: INT96 times are read in the unit that the run chose.
        """
        mark = self._inputs[index]
        for unit in (INT96_UNIT, "ns"):
            file = self.opened(index, unit)
            if all(is_widened(file.schema.field(field.name).type, field.type) for field in kept):
                break
        if file.fingerprint.footer_sha256 != mark.footer_sha256:
            raise AuditError(
                f"expected the input that was scored, with footer {mark.footer_sha256}, "
                f"got {file.fingerprint.footer_sha256}, in {mark.path}"
            )
        return file

    def opened(self, index: int, unit: str = INT96_UNIT) -> SourceFile:
        """Open the input of that index, whatever has become of it; raises DataError if it cannot be read.

        Args:
            index: the input's index among all inputs.
            unit: the unit that INT96 times are read in.
        """
        return open_source(as_place(self._inputs[index].path), self._partitions[index], unit)

    def batches(
        self, file: SourceFile, start: int = 0, stop: int | None = None
    ) -> Generator[tuple[int, pa.RecordBatch], None, None]:
        """The rows from `start` up to `stop` in batches as large as the run's, each with its first row's number."""
        return file.batches(self._columns, self._batch_rows, start, stop)

    def rows(self, file: SourceFile, rows: NDArray[np.int64]) -> pa.RecordBatch:
        """The rows with these ascending numbers, from one pass over the rows between them."""
        taken = []
        for first, batch in file.batches(self._columns, self._batch_rows, int(rows[0]), int(rows[-1]) + 1):
            inside = rows[(rows >= first) & (rows < first + batch.num_rows)]
            if len(inside):
                taken.append(take_rows(batch, inside - first))
        return pa.concat_batches(taken)
