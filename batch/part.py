"""One part of the output: its rows read, scored, explained, and written with the rejected ones beside."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch.columns import RowCleaner
from batch.folder import OutputFolder
from batch.interruption import Interruption
from batch.known import PredictedRows
from batch.output import ScoredRows
from batch.plan import PartSpan, Plan
from batch.progress import Progress
from batch.scoring import Scorer
from batch.sink import PartWriter
from batch.source import SourceFile
from batch.stages import Stages
from batch.taking import take
from batch.totals import Totals
from runtime.codec import encode
from runtime.errors import JobError, WhyportError

# The keys of a part's metadata.
DESCRIPTION_KEY = "whyport"
TOTALS_KEY = "whyport.totals"

Batches = Iterator[tuple[int, pa.RecordBatch]]


@dataclass(frozen=True)
class Monitor:
    """Who watches a run: the clock, the progress bar, and whoever may interrupt it."""

    stages: Stages
    progress: Progress
    interruption: Interruption


class PartRunner:
    """Makes parts.

    Args:
        plan: the columns.
        folder: where the parts go.
        cleaner: tells the rows that can be scored from those that cannot.
        scorer: predicts and explains.
        monitor: is told of every batch.
    """

    def __init__(self, plan: Plan, folder: OutputFolder, cleaner: RowCleaner, scorer: Scorer, monitor: Monitor) -> None:
        self._plan = plan
        self._folder = folder
        self._cleaner = cleaner
        self._scorer = scorer
        self._monitor = monitor

    def run(self, source: SourceFile, span: PartSpan, batches: Batches, description: dict[str, Any]) -> None:
        """Take the span's rows from `batches` and make them a part.

        The rejected part is published first: where the part is there, both are; a rejected part alone is an attempt's
        that was killed in between, and is replaced by the same one.
        """
        metadata = {DESCRIPTION_KEY: json.dumps(description, ensure_ascii=False), **self._plan.output.metadata}
        monitor = self._monitor
        totals = Totals.empty(self._plan.classes, self._plan.settings.methods)
        folder, disk = self._folder, self._folder.disk
        with ExitStack() as stack:
            part_schema = self._plan.part_schema(source)
            part = PartWriter(disk, folder.path / span.name, part_schema, metadata)
            stack.enter_context(part)
            rejects: PartWriter | None = None
            row = span.start
            while row < span.stop:
                with monitor.stages.stage("read"):
                    row, batch = next(batches)
                scored = self._score(source, row, batch)
                with monitor.stages.stage("write"):
                    part.write(self._output_batch(source, row, batch, scored, part_schema))
                    if scored.rows.reasons:
                        if rejects is None:
                            schema = self._plan.rejected_schema(source)
                            rejects = PartWriter(disk, folder.rejected_file(span), schema, metadata)
                            stack.enter_context(rejects)
                        rejects.write(self._reject_batch(source, row, batch, scored))
                totals += Totals.of(scored, self._plan.classes)
                row += batch.num_rows
                monitor.progress.add(batch.num_rows)
                monitor.interruption.announce(span.stop - row)
            if part.rows + totals.rows_rejected != span.rows:
                raise JobError(
                    f"expected {span.rows} rows out or rejected, got {part.rows} + {totals.rows_rejected}, "
                    f"in {source.name}, rows {span.start} to {span.stop}"
                )
            with monitor.stages.stage("write"):
                writers = [rejects, part] if rejects else [part]
                for writer in writers:
                    writer.finish({TOTALS_KEY: encode(totals)})
                source.check_unchanged()
                for writer in writers:
                    writer.publish()

    def _score(self, source: SourceFile, row: int, batch: pa.RecordBatch) -> ScoredRows:
        stage = self._monitor.stages.stage
        try:
            with stage("clean"):
                rows = self._cleaner.clean(batch, row)
            with stage("predict"):
                predicted = self._scorer.predict(rows)
            with stage("explain"):
                known = PredictedRows(source.name, row, batch, rows, **predicted)
                return self._scorer.explain(rows, predicted, row, self._plan.explained(known))
        except WhyportError as error:
            raise error.at(f"{source.name}, row group {source.row_group(row)}") from None

    def _output_batch(
        self, source: SourceFile, row: int, batch: pa.RecordBatch, scored: ScoredRows, schema: pa.Schema
    ) -> pa.RecordBatch:
        kept = scored.rows.kept
        identity = [pa.repeat(source.name, len(kept)), pa.array(row + kept)]
        columns = [*identity, *self._kept(source, batch, kept), *self._plan.output.arrays(scored)]
        return pa.record_batch(columns, schema=schema)

    def _reject_batch(self, source: SourceFile, row: int, batch: pa.RecordBatch, scored: ScoredRows) -> pa.RecordBatch:
        rejected = scored.rows.rejected
        identity = [pa.repeat(source.name, len(rejected)), pa.array(row + rejected)]
        columns = [*identity, pa.array(scored.rows.reasons, pa.string()), *self._kept(source, batch, rejected)]
        return pa.record_batch(columns, schema=self._plan.rejected_schema(source))

    def _kept(self, source: SourceFile, batch: pa.RecordBatch, rows: NDArray[Any]) -> list[pa.Array]:
        """The kept columns at these rows, as if nothing but the batch had been read.

        A dictionary, or where a slice begins, may depend on the rows before; then a resumed run's bytes would differ.
        """
        arrays = [take(batch.column(field.name), rows) for field in self._plan.kept_fields(source)]
        return [_re_encoded(array) for array in arrays]


def _re_encoded(array: pa.Array) -> pa.Array:
    """A dictionary array with the dictionary that its values alone give, unless the order of that means something."""
    if not pa.types.is_dictionary(array.type) or array.type.ordered:
        return array
    encoded = array.dictionary_decode().dictionary_encode()
    return pa.DictionaryArray.from_arrays(pc.cast(encoded.indices, array.type.index_type), encoded.dictionary)
