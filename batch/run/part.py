"""One part of the output: its rows are scored, explained and written while the next rows are read."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import take
from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.parts import DESCRIPTION_KEY, TOTALS_KEY, PartSpan
from whyport.batch.output.totals import Totals
from whyport.batch.output.writer import PartWriter
from whyport.batch.pipeline import DoBehind
from whyport.batch.rows import CleanBatch, PredictedRows, ScoredRows
from whyport.batch.run.plan import Plan
from whyport.batch.run.watch import Monitor
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.bundle.codec import encode
from whyport.runtime.errors import JobError, NotFiniteError, WhyportError


class PartPair:
    """A part and its rejected part, under temporary names until `publish`; leaving the context before removes both.

    Args:
        plan: the columns.
        folder: the output folder.
        source: the input.
        span: the part's rows of the input.
        description: what makes the part, for its footer.
    """

    def __init__(
        self, plan: Plan, folder: OutputFolder, source: SourceFile, span: PartSpan, description: dict[str, Any]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._source = source
        self._span = span
        self._metadata = {DESCRIPTION_KEY: json.dumps(description, ensure_ascii=False), **plan.output.metadata}
        self._schema = plan.part_schema
        self._rejected_schema = plan.rejected_schema
        self._stack = ExitStack()
        self._part = self._open(PartWriter(folder.disk, folder.path / span.name, self._schema, self._metadata))
        self._rejects: PartWriter | None = None

    @property
    def rows_out(self) -> int:
        """The number of scored rows written so far."""
        return self._part.rows

    def write(self, scored: ScoredRows) -> None:
        """Append a batch: its scored rows to the part, its other rows to the rejected part."""
        batch, rows = scored.predicted.batch, scored.rows
        identity = self._identity(batch, rows.kept)
        columns = [*identity, *_copied(batch.copied, rows.kept), *self._plan.output.arrays(scored)]
        self._part.write(columns)
        if not rows.reasons:
            return
        if self._rejects is None:
            path = self._folder.rejected_file(self._span)
            self._rejects = self._open(PartWriter(self._folder.disk, path, self._rejected_schema, self._metadata))
        reasons = pa.array(rows.reasons, pa.string())
        columns = [*self._identity(batch, rows.rejected), reasons, *_copied(batch.copied, rows.rejected)]
        self._rejects.write(columns)

    def finish(self, totals: Totals) -> None:
        """Sync both files to the disk, with the totals in their footers."""
        for writer in self._writers():
            writer.finish({TOTALS_KEY: encode(totals)})

    def publish(self) -> None:
        """Publish the rejected part, then the part: if the part exists, both exist."""
        for writer in self._writers():
            writer.publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _open(self, writer: PartWriter) -> PartWriter:
        return self._stack.enter_context(writer)

    def _writers(self) -> list[PartWriter]:
        return [writer for writer in (self._rejects, self._part) if writer is not None]

    def _identity(self, batch: CleanBatch, rows: NDArray[Any]) -> list[pa.Array]:
        names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), dtype=np.int64)), [self._source.name])
        return [names, pa.array(batch.first_row + rows)]


def _copied(columns: pa.RecordBatch, rows: NDArray[Any]) -> list[pa.Array]:
    """The columns at these rows, independent of the rows before the batch.

    A dictionary or the offset of a slice may depend on earlier rows; a resumed run's bytes would then differ.
    """
    return [_re_encoded(take(array, rows)) for array in columns.columns]


def _re_encoded(array: pa.Array) -> pa.Array:
    """A dictionary array with a dictionary of its own values only, unless the dictionary's order has a meaning."""
    if not pa.types.is_dictionary(array.type) or array.type.ordered:
        return array
    encoded = array.dictionary_decode().dictionary_encode()
    return pa.DictionaryArray.from_arrays(pc.cast(encoded.indices, array.type.index_type), encoded.dictionary)


# Scored batches that are not written yet.
BATCHES_BEHIND = 2


def _refuse_rejected(predicted: PredictedRows) -> None:
    """Raise NotFiniteError for a row that was rejected for its outputs, in a run that rejects no row."""
    rows = predicted.rows
    if rows.reasons:
        raise NotFiniteError(f"{rows.reasons[0]}, row {predicted.batch.first_row + rows.rejected[0]}")


class PartRunner:
    """Makes parts.

    Args:
        plan: the columns.
        folder: the output folder.
        scorer: predicts and explains.
        monitor: clock, progress and signals of the run.
    """

    def __init__(self, plan: Plan, folder: OutputFolder, scorer: Scorer, monitor: Monitor) -> None:
        self._plan = plan
        self._folder = folder
        self._scorer = scorer
        self._monitor = monitor

    def run(
        self,
        source: SourceFile,
        span: PartSpan,
        batches: Iterator[CleanBatch],
        description: dict[str, Any],
        *,
        is_last: bool,
    ) -> None:
        """Make a part from the span's rows in `batches`; raises InterruptedJobError before it begins if asked to stop.

        The rejected part is published first, so if the part exists, both exist. A rejected part without its part is
        left by a kill in between, and is replaced by an equal one.
        """
        monitor = self._monitor
        monitor.interruption.begin(span.rows)
        totals = Totals.empty(self._plan.task, self._plan.settings.methods)
        # The writing thread ends before the files that it writes to are closed.
        with (
            PartPair(self._plan, self._folder, source, span, description) as pair,
            DoBehind(BATCHES_BEHIND, "whyport-write") as writing,
        ):
            row = span.start
            while row < span.stop:
                batch = next(batches)
                scored = self._score(source, batch)
                writing.call(partial(self._write, pair, scored))
                totals += Totals.of(scored, self._plan.task)
                row += batch.num_rows
                monitor.progress.add(batch.num_rows)
                monitor.interruption.advance(batch.num_rows)
            writing.wait()
            if pair.rows_out + totals.rows_rejected != span.rows:
                raise JobError(
                    f"expected {span.rows} rows out or rejected, got {pair.rows_out} + {totals.rows_rejected}, "
                    f"in {source.name}, rows {span.start} to {span.stop}"
                )
            with monitor.stages.stage("write"):
                pair.finish(totals)
                if is_last or not source.is_read_by_version:
                    source.check_unchanged()
                self._folder.check_at_work()
                pair.publish()
        monitor.interruption.end()
        # Memory freed by this part's threads would otherwise stay reserved beside the next part's.
        pa.default_memory_pool().release_unused()

    def _score(self, source: SourceFile, batch: CleanBatch) -> ScoredRows:
        stage = self._monitor.stages.stage
        try:
            with stage("predict"):
                predicted = self._scorer.predict(batch, source.name)
                if self._plan.settings.on_bad_row == "fail":
                    _refuse_rejected(predicted)
            with stage("explain") if self._plan.settings.methods else nullcontext():
                scored = self._scorer.explain(predicted, self._plan.explained(predicted))
                return scored.with_reasons(self._plan.reasons)
        except WhyportError as error:
            raise error.at(source.name) from None

    def _write(self, pair: PartPair, scored: ScoredRows) -> None:
        with self._monitor.stages.stage("write"):
            pair.write(scored)
