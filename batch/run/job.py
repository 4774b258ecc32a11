"""A job: Parquet in, predictions and explanations out, with every row accounted for through any interruption."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain

from whyport.batch.output.folder import SKIPPED_FILE
from whyport.batch.output.result import FileReport, JobReport, Performance, SkippedFile, read_report
from whyport.batch.output.shard_report import ShardReport
from whyport.batch.output.totals import Totals
from whyport.batch.progress import Progress, ProgressCallback
from whyport.batch.run.attempt import Attempt, orders_for, rows_of
from whyport.batch.run.executors.where import Where
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.plan import BadFile, Plan
from whyport.batch.run.shard import Shard
from whyport.batch.run.shard_job import ShardJob
from whyport.batch.run.watch import Monitor, Stages
from whyport.batch.run.worker import Order
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk
from whyport.batch.store.objects import disk_of
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import JobError, UsageError, listing

logger = logging.getLogger(__name__)


class Job:
    """A run that checks, before it begins, everything that can be known without reading a row.

    Args:
        bundle: the model.
        settings: the options.
        disk: writes the output.
        where: the executor that makes the parts, and its cluster.

    Raises:
        UsageError, ColumnError, DataError, BundleError, ProviderError: the settings cannot be carried out.
    """

    def __init__(
        self, bundle: Bundle, settings: JobSettings, disk: Disk | None = None, where: Where | None = None
    ) -> None:
        self._attempt = Attempt(bundle, settings, disk or disk_of(settings.out), where or Where())

    @property
    def plan(self) -> Plan:
        """What the run will do."""
        return self._attempt.plan

    def run(
        self,
        interruption: Interruption | None = None,
        progress: ProgressCallback | None = None,
        *,
        finish_only: bool = False,
    ) -> JobReport:
        """Score and explain every row that is not done yet; writes `_SUCCESS` only if rows in = rows out + rejected.

        Args:
            interruption: may end the run between two parts; the next attempt continues from there.
            progress: called for every batch, in place of a bar on the terminal; an error in it ends the run.
            finish_only: whether a missing part is an error, which names it, and not made.

        Raises:
            UsageError: the folder holds another job, or parts of another arithmetic.
            DataError: an input is bad, with column, row and file; ValueRangeError and MissingValueError among them.
            ParityError, OutputError, InterruptedJobError: the run stopped; finished parts stay.
            JobError: another run is at work, an input changes meanwhile, parts are missing, or rows do not add up.
        """
        attempt, stages = self._attempt, Stages()
        if not self.plan.inputs:
            return attempt.report_of_nothing()
        if finish_only:
            self._check_there_is_something_to_finish()
        with attempt.holding(shared=False):
            is_resumed = self._open(finish_only)
            if attempt.folder.is_finished:
                logger.info("the run in %s is finished already", attempt.folder.path)
                return read_report(attempt.folder)
            spans = attempt.spans
            attempt.folder.check_contents(chain.from_iterable(spans.values()))
            there = attempt.there(spans) if is_resumed else {}
            orders = orders_for(spans, there)
            if finish_only:
                self._check_nothing_missing(orders)
            if is_resumed:
                attempt.folder.make_room(span for order in orders for span in order.spans)
            counted = Progress(attempt.plan.rows, rows_of(there), progress)
            monitor = Monitor(stages, counted, interruption or Interruption())
            with stages.stage("total"):
                with closing(counted):
                    skipped = self._carry_out(orders, monitor)
                with stages.stage("check"):
                    files, digests = self._counted(skipped)
            kept = [len(own) for index, own in there.items() if self.plan.sources[index].name not in skipped]
            performance = Performance.of(stages.seconds, counted.added, sum(kept), monitor.workforce.report)
            return self._finish(skipped, files, digests, performance)

    def run_shard(
        self, shard: Shard, interruption: Interruption | None = None, progress: ProgressCallback | None = None
    ) -> ShardReport:
        """Make the parts of a shard that are not there yet, beside other shards; a run then finishes the job.

        Takes and raises what `run` does. Nothing in the folder is removed.
        """
        interruption = interruption or Interruption()
        try:
            return ShardJob(self._attempt, shard).run(interruption, progress)
        except UsageError:
            later = self._attempt.with_inputs_of_others()
            if later is None:
                raise
        self._attempt = later
        return ShardJob(later, shard).run(interruption, progress)

    def lines(self) -> list[str]:
        """The plan of `run` for a terminal; writes nothing. Raises UsageError if the folder does not allow the run."""
        attempt = self._attempt
        if not self.plan.inputs:
            return [f"inputs    {line}" for line in self.plan.new_lines] + ["output    nothing is written"]
        is_resumed = attempt.folder.holds(attempt.job, attempt.settings.overwrite)
        spans = attempt.spans if is_resumed else {}
        whole = len(attempt.finished.whole(chain.from_iterable(spans.values()), with_pages=False))
        if whole:
            attempt.arithmetics.join()
        attempt.folder.check_writable()
        bundle = attempt.job.bundle
        return [
            f"bundle    {bundle.name}, {bundle.digest[:12]}, on {attempt.job.provider}",
            *attempt.plan.lines(),
            f"time      {attempt.worker.time_text}",
            f"output    {attempt.folder.path}, where {whole} parts are finished",
        ]

    def _check_there_is_something_to_finish(self) -> None:
        folder = self._attempt.folder
        if self._attempt.settings.overwrite:
            raise UsageError("finish_only: it makes nothing anew; expected no overwrite beside it")
        if not folder.holds(self._attempt.job, overwrite=False):
            raise JobError(f"expected the parts of a job to finish, got no job, in {folder.path}")

    def _open(self, finish_only: bool) -> bool:
        """Make the folder ready; returns whether it holds an attempt at this job."""
        folder, settings, arithmetics = self._attempt.folder, self._attempt.settings, self._attempt.arithmetics
        is_resumed = folder.open(arithmetics.own_job, settings.overwrite)
        if settings.on_bad_file == "fail" and folder.skipped():
            folder.forget_skipped()
        if is_resumed and not folder.is_finished and not finish_only:
            arithmetics.begin()
        return is_resumed

    def _check_nothing_missing(self, orders: Sequence[Order]) -> None:
        """Raise JobError for orders whose parts would have to be made."""
        missing = [span.name for order in self._wanted(orders) for span in order.spans]
        if missing:
            expected = f"expected every part of the job, got none of {len(missing)}"
            raise JobError(f"{expected}: {listing(missing)}, in {self._attempt.folder.path}")

    def _wanted(self, orders: Sequence[Order]) -> list[Order]:
        """The orders whose inputs no earlier attempt has skipped."""
        skipped = self._attempt.folder.skipped()
        return [order for order in orders if self.plan.sources[order.index].name not in skipped]

    def _carry_out(self, orders: Sequence[Order], monitor: Monitor) -> dict[str, str]:
        """Have the orders carried out; returns the skipped inputs with the reasons."""
        folder = self._attempt.folder
        skipped = folder.skipped()
        with closing(self._attempt.carry_out(self._wanted(orders), monitor)) as bad:
            for name, error in bad:
                skipped[name] = str(error)
                folder.write_json(SKIPPED_FILE, skipped)
        for index, source in self.plan.sources.items():
            if source.name in skipped:
                for span in self.plan.spans(index):
                    folder.remove_part(span)
        return skipped

    def _counted(self, skipped: dict[str, str]) -> tuple[list[tuple[FileReport, Totals]], dict[str, str]]:
        """Every input's rows and every part's digest, by what lies in the folder; raises JobError if a row is lost."""
        counted = self._attempt.finished.counted(skipped)
        self._attempt.arithmetics.check(counted.arithmetics)
        return counted.files, counted.digests

    def _finish(
        self,
        skipped: dict[str, str],
        files: list[tuple[FileReport, Totals]],
        digests: dict[str, str],
        performance: Performance,
    ) -> JobReport:
        """Write the report, and then that the job is finished."""
        self._attempt.check_still_new()
        left_out = [SkippedFile(name, reason) for name, reason in self._reasons(skipped)]
        provider = self._attempt.job.provider
        report = JobReport.of(files, left_out, self.plan.passed_over, digests, provider, performance)
        report = dataclasses.replace(report, bundle_signature=self._attempt.bundle_signature)
        self._attempt.folder.finish(dataclasses.asdict(report))
        return report

    def _reasons(self, skipped: dict[str, str]) -> Iterator[tuple[str, str]]:
        for file in self.plan.inputs:
            if isinstance(file, BadFile):
                yield file.name, file.reason
            elif file.name in skipped:
                yield file.name, skipped[file.name]
