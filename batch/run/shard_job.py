"""A shard of a job: its parts made beside other shards; a run then finishes the job."""

import logging
from contextlib import closing

from whyport.batch.output.result import Performance
from whyport.batch.output.shard_report import ShardReport
from whyport.batch.progress import Progress, ProgressCallback
from whyport.batch.run.attempt import Attempt, orders_for, rows_of
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.shard import Shard
from whyport.batch.run.watch import Monitor, Stages
from whyport.runtime.errors import UsageError

logger = logging.getLogger(__name__)


class ShardJob:
    """Makes the parts of a shard that are not there yet. Nothing in the folder is removed.

    Args:
        attempt: the job.
        shard: which of its parts.

    Raises:
        UsageError: the settings ask for a folder to be overwritten.
    """

    def __init__(self, attempt: Attempt, shard: Shard) -> None:
        if attempt.settings.overwrite:
            raise UsageError("shard: a shard removes nothing; expected --overwrite in a run before all shards")
        self._attempt = attempt
        self._shard = shard
        self._spans = shard.of(attempt.spans)

    def run(self, interruption: Interruption, progress: ProgressCallback | None) -> ShardReport:
        """Open, orders, executor; takes and raises what `Job.run` does."""
        attempt, stages = self._attempt, Stages()
        if not attempt.plan.inputs:
            attempt.report_of_nothing()
            return self._report({}, Performance.of({"total": 0.0}, 0, 0))
        if attempt.folder.is_finished and attempt.folder.holds(attempt.job, overwrite=False):
            logger.info("the run in %s is finished already", attempt.folder.path)
            return self._report({}, Performance.of({"total": 0.0}, 0, sum(map(len, self._spans.values()))))
        with attempt.holding(shared=True):
            attempt.folder.join(attempt.arithmetics.own_job)
            attempt.arithmetics.join()
            there = attempt.there(self._spans)
            counted = Progress(rows_of(self._spans), rows_of(there), progress)
            with stages.stage("total"), closing(counted):
                monitor = Monitor(stages, counted, interruption)
                with closing(attempt.carry_out(orders_for(self._spans, there), monitor)) as outcomes:
                    bad = {name: str(error) for name, error in outcomes}
        kept = sum(map(len, there.values()))
        return self._report(bad, Performance.of(stages.seconds, counted.added, kept, monitor.workforce.report))

    def _report(self, bad: dict[str, str], performance: Performance) -> ShardReport:
        sources = self._attempt.plan.sources
        made = {index: own for index, own in self._spans.items() if sources[index].name not in bad}
        parts, provider = sum(map(len, made.values())), self._attempt.job.provider
        return ShardReport(str(self._shard), parts, rows_of(made), bad, provider, performance)
