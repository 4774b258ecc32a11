"""The rows of an input, read and cleaned ahead of scoring."""

from collections.abc import Generator
from contextlib import closing

import pyarrow as pa

from whyport.batch.pipeline import FetchAhead
from whyport.batch.rows import CleanBatch
from whyport.batch.run.plan import Plan
from whyport.batch.run.watch import Stages
from whyport.batch.source.cleaning import RowCleaner
from whyport.batch.source.kept import widened
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import WhyportError
from whyport.runtime.inputs.utf8 import check_utf8

# One batch is being scored; two more in reserve keep the other stages going when one stage stutters.
BATCHES_AHEAD = 2


class Intake:
    """Makes batches of clean rows.

    Args:
        plan: the columns and the number of rows per batch.
        cleaner: separates the rows that can be scored from the rows that cannot.
        stages: counts the seconds.
    """

    def __init__(self, plan: Plan, cleaner: RowCleaner, stages: Stages) -> None:
        self._plan = plan
        label = [plan.choice.label] if plan.choice.label is not None else []
        self._texts = list(dict.fromkeys([*plan.settings.keep, *label, *plan.table.texts]))
        """The columns that may hold texts."""
        self._tokenised = list(plan.table.tokenised) if plan.settings.methods else []
        self._cleaner = cleaner
        self._stages = stages

    def batches(self, source: SourceFile, start: int, stop: int) -> FetchAhead[CleanBatch]:
        """The rows from `start` up to `stop`, in order; raises as `SourceFile.batches` and `RowCleaner.clean` do."""
        return FetchAhead(self._clean(source, start, stop), BATCHES_AHEAD, "whyport-clean")

    def _clean(self, source: SourceFile, start: int, stop: int) -> Generator[CleanBatch, None, None]:
        with FetchAhead(self._read(source, start, stop), BATCHES_AHEAD, "whyport-read") as read:
            for row, batch in read:
                with self._stages.stage("clean"):
                    try:
                        check_utf8(batch, self._texts)
                        rows = self._cleaner.clean(batch, row)
                        copied = widened(batch, self._plan.kept)
                    except WhyportError as error:
                        raise error.at(source.name) from None
                # The features' own columns, twice the size of the matrix, are no longer needed.
                yield CleanBatch(row, copied, rows, {name: batch.column(name) for name in self._tokenised})

    def _read(self, source: SourceFile, start: int, stop: int) -> Generator[tuple[int, pa.RecordBatch], None, None]:
        with closing(source.batches(self._plan.columns, self._plan.rows_per_batch, start, stop)) as batches:
            while True:
                with self._stages.stage("read"):
                    found = next(batches, None)
                if found is None:
                    return
                yield found
