"""One part of the output: its rows scored, explained and written, while the next are read."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
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
from whyport.batch.rows import CleanBatch, ScoredRows
from whyport.batch.run.pipeline import DoBehind
from whyport.batch.run.plan import Plan
from whyport.batch.run.watch import Monitor
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.bundle.codec import encode
from whyport.runtime.errors import JobError, WhyportError


class PartPair:
    """A part and its rejected part, under temporary names until `publish`; leaving the context before removes both.

    Args:
        plan: the columns.
        folder: where they go.
        source: the input.
        span: which of its rows.
        description: what makes the part.
    """

    def __init__(
        self, plan: Plan, folder: OutputFolder, source: SourceFile, span: PartSpan, description: dict[str, Any]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._source = source
        self._span = span
        self._metadata = {DESCRIPTION_KEY: json.dumps(description, ensure_ascii=False), **plan.output.metadata}
        self._schema = plan.part_schema(source)
        self._rejected_schema = plan.rejected_schema(source)
        self._stack = ExitStack()
        self._part = self._open(PartWriter(folder.disk, folder.path / span.name, self._schema, self._metadata))
        self._rejects: PartWriter | None = None

    @property
    def rows_out(self) -> int:
        """The scored rows that were written so far."""
        return self._part.rows

    def write(self, batch: CleanBatch, scored: ScoredRows) -> None:
        """Append a batch: its scored rows to the part, the others to the rejected part."""
        rows = batch.rows
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
        """Bring both files to the disk, with the totals in their footers."""
        for writer in self._writers():
            writer.finish({TOTALS_KEY: encode(totals)})

    def publish(self) -> None:
        """Make both visible, the rejected part first: where the part is, both are."""
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
    """The columns at these rows, as if nothing but the batch had been read.

    A dictionary, or where a slice begins, may depend on the rows before; then a resumed run's bytes would differ.
    """
    return [_re_encoded(take(array, rows)) for array in columns.columns]


def _re_encoded(array: pa.Array) -> pa.Array:
    """A dictionary array with the dictionary that its values alone give, unless the order of that means something."""
    if not pa.types.is_dictionary(array.type) or array.type.ordered:
        return array
    encoded = array.dictionary_decode().dictionary_encode()
    return pa.DictionaryArray.from_arrays(pc.cast(encoded.indices, array.type.index_type), encoded.dictionary)


# Batches that were scored and are not written yet.
BATCHES_BEHIND = 2


class PartRunner:
    """Makes parts.

    Args:
        plan: the columns.
        folder: where the parts go.
        scorer: predicts and explains.
        monitor: is told of every batch.
    """

    def __init__(self, plan: Plan, folder: OutputFolder, scorer: Scorer, monitor: Monitor) -> None:
        self._plan = plan
        self._folder = folder
        self._scorer = scorer
        self._monitor = monitor

    def run(
        self, source: SourceFile, span: PartSpan, batches: Iterator[CleanBatch], description: dict[str, Any]
    ) -> None:
        """Take the span's rows from `batches` and make them a part; InterruptedJobError before that, if asked to stop.

        The rejected part is published first: where the part is there, both are; a rejected part alone is an attempt's
        that was killed in between, and is replaced by the same one.
        """
        monitor = self._monitor
        monitor.interruption.check()
        totals = Totals.empty(self._plan.task, self._plan.settings.methods)
        # The thread that writes has ended before what it writes to is closed.
        with (
            PartPair(self._plan, self._folder, source, span, description) as pair,
            DoBehind(BATCHES_BEHIND, "whyport-write") as writing,
        ):
            row = span.start
            while row < span.stop:
                batch = next(batches)
                scored = self._score(source, batch)
                writing.call(partial(self._write, pair, batch, scored))
                totals += Totals.of(scored, self._plan.task)
                row += batch.num_rows
                monitor.progress.add(batch.num_rows)
                monitor.interruption.announce(span.stop - row)
            writing.wait()
            if pair.rows_out + totals.rows_rejected != span.rows:
                raise JobError(
                    f"expected {span.rows} rows out or rejected, got {pair.rows_out} + {totals.rows_rejected}, "
                    f"in {source.name}, rows {span.start} to {span.stop}"
                )
            with monitor.stages.stage("write"):
                pair.finish(totals)
                source.check_unchanged()
                pair.publish()
        # What this part's threads have freed would stay beside what the next part's take.
        pa.default_memory_pool().release_unused()

    def _score(self, source: SourceFile, batch: CleanBatch) -> ScoredRows:
        stage = self._monitor.stages.stage
        try:
            with stage("predict"):
                predicted = self._scorer.predict(batch, source.name)
            with stage("explain"):
                return self._scorer.explain(predicted, self._plan.explained(predicted))
        except WhyportError as error:
            raise error.at(source.name) from None

    def _write(self, pair: PartPair, batch: CleanBatch, scored: ScoredRows) -> None:
        with self._monitor.stages.stage("write"):
            pair.write(batch, scored)
