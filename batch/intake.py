"""The rows of an input, read and cleaned ahead of those who score them."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from batch.columns import CleanRows, RowCleaner
from batch.pipeline import FetchAhead
from batch.plan import Plan
from batch.source import SourceFile
from batch.stages import Stages
from runtime.errors import WhyportError

# One batch is being scored; with two more behind it, a stage that stutters does not stop the others.
BATCHES_AHEAD = 2


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


class Intake:
    """Makes batches of clean rows.

    Args:
        plan: the columns and the size of a batch.
        cleaner: tells the rows that can be scored from those that cannot.
        stages: the clock.
    """

    def __init__(self, plan: Plan, cleaner: RowCleaner, stages: Stages) -> None:
        self._plan = plan
        self._cleaner = cleaner
        self._stages = stages

    def batches(self, source: SourceFile, start: int, stop: int) -> FetchAhead[CleanBatch]:
        """The rows from `start` up to `stop` in order; raises what `SourceFile.batches` and `RowCleaner.clean` do."""
        return FetchAhead(self._clean(source, start, stop), BATCHES_AHEAD, "whyport-clean")

    def _clean(self, source: SourceFile, start: int, stop: int) -> Generator[CleanBatch, None, None]:
        keep = list(self._plan.settings.keep)
        with FetchAhead(self._read(source, start, stop), BATCHES_AHEAD, "whyport-read") as read:
            for row, batch in read:
                with self._stages.stage("clean"):
                    try:
                        rows = self._cleaner.clean(batch, row)
                    except WhyportError as error:
                        raise error.at(source.name) from None
                # The features' own columns, twice the size of the matrix, are not needed any more.
                yield CleanBatch(row, batch.select(keep), rows)

    def _read(self, source: SourceFile, start: int, stop: int) -> Generator[tuple[int, pa.RecordBatch], None, None]:
        with closing(source.batches(self._plan.columns, self._plan.rows_a_batch, start, stop)) as batches:
            while True:
                with self._stages.stage("read"):
                    found = next(batches, None)
                if found is None:
                    return
                yield found
