"""One part of the output: its rows scored, explained and written, while the next are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from batch.folder import OutputFolder
from batch.intake import CleanBatch
from batch.interruption import Interruption
from batch.known import PredictedRows
from batch.output import ScoredRows
from batch.pair import PartPair
from batch.pipeline import DoBehind
from batch.plan import PartSpan, Plan
from batch.progress import Progress
from batch.scoring import Scorer
from batch.source import SourceFile
from batch.stages import Stages
from batch.totals import Totals
from runtime.errors import JobError, WhyportError

# Batches that were scored and are not written yet.
BATCHES_BEHIND = 2


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
        totals = Totals.empty(self._plan.classes, self._plan.settings.methods)
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
                totals += Totals.of(scored, self._plan.classes)
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
                predicted = self._scorer.predict(batch.rows)
            with stage("explain"):
                known = PredictedRows(source.name, batch.first_row, batch.copied, batch.rows, **predicted)
                return self._scorer.explain(batch.rows, predicted, batch.first_row, self._plan.explained(known))
        except WhyportError as error:
            raise error.at(source.name) from None

    def _write(self, pair: PartPair, batch: CleanBatch, scored: ScoredRows) -> None:
        with self._monitor.stages.stage("write"):
            pair.write(batch, scored)
