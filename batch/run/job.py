"""A job: Parquet in, predictions and explanations out, with every row accounted for through any interruption."""

import dataclasses
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain

from whyport.batch.output.folder import JOB_FILE, SKIPPED_FILE, OutputFolder, folder_lock
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import PartSpan
from whyport.batch.output.result import JobReport, Performance, SkippedFile, read_report
from whyport.batch.output.shard_report import ShardReport
from whyport.batch.run.description import describe_job
from whyport.batch.run.executors import find_executor
from whyport.batch.run.finished import FinishedParts
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.plan import BadFile, Plan
from whyport.batch.run.shard import Shard
from whyport.batch.run.watch import CallbackError, Monitor, Progress, ProgressCallback, Stages
from whyport.batch.run.worker import Order, Worker
from whyport.batch.scoring.arithmetic import Arithmetic, other_arithmetic
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk, writing
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import DataError, JobError, UsageError, listing
from whyport.runtime.session import Session

logger = logging.getLogger(__name__)

EXECUTOR = "local"

LARGE_OUTPUT_BYTES = 10**9
"""The output whose size is told when a run begins."""


class Job:
    """A run that checks, before it begins, everything that can be known without reading a row.

    Args:
        bundle: the model.
        settings: the options.
        disk: writes the output.

    Raises:
        UsageError, ColumnError, DataError, BundleError, ProviderError: the settings cannot be carried out.
    """

    def __init__(self, bundle: Bundle, settings: JobSettings, disk: Disk | None = None) -> None:
        self._settings = settings
        self._folder = OutputFolder(settings.out, disk or Disk())
        self._folder.check()
        self.plan = Plan.make(bundle, settings)
        session = Session(bundle, settings.device, threads=settings.threads)
        self._description = describe_job(bundle, self.plan, session)
        self._worker = Worker(self.plan, self._folder, session, self._description)
        self._finished = FinishedParts(self.plan, self._folder, self._description)

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
        folder = self._folder
        if finish_only and self._settings.overwrite:
            raise UsageError("finish_only: it makes nothing anew; expected no overwrite beside it")
        if finish_only and not folder.holds(self._description, overwrite=False):
            raise JobError(f"expected the parts of a job to finish, got no job, in {folder.path}")
        with self._at_work(shared=False):
            is_resumed = folder.open(self._own_description, self._settings.overwrite)
            if self._settings.on_bad_file == "fail" and folder.skipped():
                folder.forget_skipped()
            if folder.is_finished:
                logger.info("the run in %s is finished already", folder.path)
                return read_report(folder)
            if is_resumed and not finish_only:
                # A job without parts may begin anywhere.
                self._record(self._arithmetics() if folder.parts() else (self._worker.arithmetic,))
            return self._run(interruption or Interruption(), is_resumed, progress, finish_only)

    def run_shard(
        self, shard: Shard, interruption: Interruption | None = None, progress: ProgressCallback | None = None
    ) -> ShardReport:
        """Make the parts of a shard that are not there yet, beside other shards; a run then finishes the job.

        Takes and raises what `run` does. Nothing in the folder is removed.
        """
        if self._settings.overwrite:
            raise UsageError("shard: a shard removes nothing; expected --overwrite in a run before all shards")
        folder, stages = self._folder, Stages()
        spans = shard.of({index: self.plan.spans(index) for index in self.plan.sources})
        if folder.is_finished and folder.holds(self._description, overwrite=False):
            logger.info("the run in %s is finished already", folder.path)
            return self._shard_report(
                shard, spans, {}, Performance.of({"total": 0.0}, 0, sum(map(len, spans.values())))
            )
        with self._at_work(shared=True):
            folder.join(self._own_description)
            self._arithmetics()
            before = self._whole(spans)
            counted = Progress(_rows(spans), _rows(before), progress)
            with stages.stage("total"), closing(counted):
                monitor = Monitor(stages, counted, interruption or Interruption())
                bad = {name: str(error) for name, error in self._outcomes(_orders(spans, before), monitor)}
        kept = sum(map(len, before.values()))
        return self._shard_report(shard, spans, bad, Performance.of(stages.seconds, counted.added, kept))

    def _shard_report(
        self, shard: Shard, spans: Mapping[int, Sequence[PartSpan]], bad: dict[str, str], performance: Performance
    ) -> ShardReport:
        made = {index: own for index, own in spans.items() if self.plan.sources[index].name not in bad}
        parts = sum(map(len, made.values()))
        return ShardReport(str(shard), parts, _rows(made), bad, self._description.provider, performance)

    @contextmanager
    def _at_work(self, *, shared: bool) -> Iterator[None]:
        """Hold the folder, and say what is worth knowing before the work."""
        folder = self._folder
        with writing(folder.path):
            folder.disk.make_folder(folder.path)
        with folder_lock(folder.path, shared=shared):
            folder.check()
            if self.plan.passed_over.text:
                logger.info(self.plan.passed_over.text)
            if self.plan.size.total > LARGE_OUTPUT_BYTES:
                logger.info("output: %s", self.plan.size.text)
            for line in self.plan.changed_types:
                logger.warning("%s", line)
            try:
                yield
            except CallbackError as failed:
                raise failed.error from None

    @property
    def _own_description(self) -> JobFile:
        """The job, as this process makes its parts."""
        return dataclasses.replace(self._description, arithmetic=(self._worker.arithmetic,))

    def lines(self) -> list[str]:
        """The plan of `run` for a terminal; writes nothing. Raises UsageError if the folder does not allow the run."""
        folder = self._folder
        is_resumed = folder.holds(self._description, self._settings.overwrite)
        whole = (
            sum(len(self._finished.whole(self.plan.spans(index), with_pages=False)) for index in self.plan.sources)
            if is_resumed
            else 0
        )
        if whole:
            self._arithmetics()
        folder.check_writable()
        bundle = self._description.bundle
        return [
            f"bundle    {bundle.name}, {bundle.digest[:12]}, on {self._description.provider}",
            *self.plan.lines(),
            f"time      {self._worker.time_text}",
            f"output    {folder.path}, where {whole} parts are finished",
        ]

    def _arithmetics(self) -> tuple[Arithmetic, ...]:
        """The arithmetics that the job in the folder records, and that of this attempt.

        Raises UsageError where this attempt's is another, unless the settings allow any.
        """
        path, own = self._folder.path / JOB_FILE, self._worker.arithmetic
        known = JobFile.build(self._folder.read_json(JOB_FILE), path).arithmetic
        if own in known or not known:
            return known or (own,)
        self._allow(known, own)
        return (*known, own)

    def _allow(self, known: tuple[Arithmetic, ...], other: Arithmetic) -> None:
        """Raise UsageError for another arithmetic than the job's, unless the settings allow any."""
        what = other_arithmetic(known, other)
        if not self._settings.any_arithmetic:
            raise UsageError(
                f"{str(self._folder.path)!r} holds parts of another arithmetic: {what}; resume where it began, or "
                "--any-arithmetic goes on and records it, or --overwrite starts anew"
            )
        logger.warning("parts of several arithmetics: %s; each part's footer says which made it", what)

    def _record(self, arithmetics: tuple[Arithmetic, ...]) -> None:
        """Write the arithmetics of the parts into the job's description, where they are not there already."""
        job = dataclasses.replace(self._description, arithmetic=arithmetics)
        if self._folder.read_json(JOB_FILE)["arithmetic"] != job.document()["arithmetic"]:
            self._folder.write_json(JOB_FILE, job.document())

    def _run(
        self, interruption: Interruption, is_resumed: bool, callback: ProgressCallback | None, finish_only: bool
    ) -> JobReport:
        plan, folder, stages = self.plan, self._folder, Stages()
        spans = {index: tuple(plan.spans(index)) for index in plan.sources}
        folder.check_contents(chain.from_iterable(spans.values()))
        finished = self._whole(spans) if is_resumed else {}
        orders = _orders(spans, finished)
        if finish_only:
            self._check_nothing_missing(orders)
        progress = Progress(plan.rows, _rows(finished), callback)
        with stages.stage("total"):
            with closing(progress):
                skipped = self._carry_out(orders, Monitor(stages, progress, interruption))
            with stages.stage("check"):
                files = self._finished.count(skipped)
                digests = self._finished.digests()
                self._check_arithmetics()
        kept = [len(own) for index, own in finished.items() if plan.sources[index].name not in skipped]
        report = JobReport.of(
            files,
            [SkippedFile(name, reason) for name, reason in self._reasons(skipped)],
            plan.passed_over,
            digests,
            self._description.provider,
            Performance.of(stages.seconds, progress.added, sum(kept)),
        )
        folder.finish(dataclasses.asdict(report))
        return report

    def _whole(self, spans: Mapping[int, Sequence[PartSpan]]) -> dict[int, tuple[PartSpan, ...]]:
        """The parts that are there and whole, of some, by the input's index."""
        return {index: self._finished.whole(own, with_pages=True) for index, own in spans.items()}

    def _check_nothing_missing(self, orders: Sequence[Order]) -> None:
        """Raise JobError for orders whose parts would have to be made."""
        skipped = self._folder.skipped()
        wanted = [order for order in orders if self.plan.sources[order.index].name not in skipped]
        missing = [span.name for order in wanted for span in order.spans]
        if missing:
            expected = f"expected every part of the job, got none of {len(missing)}"
            raise JobError(f"{expected}: {listing(missing)}, in {self._folder.path}")

    def _check_arithmetics(self) -> None:
        """Record the arithmetics of the parts where any is allowed; UsageError for one that the job does not have."""
        found = self._finished.arithmetics()
        if self._settings.any_arithmetic:
            self._record(found)
            return
        path = self._folder.path / JOB_FILE
        known = JobFile.build(self._folder.read_json(JOB_FILE), path).arithmetic
        for each in found:
            if each not in known:
                self._allow(known, each)

    def _outcomes(self, orders: Sequence[Order], monitor: Monitor) -> Iterator[tuple[str, DataError]]:
        """Have the orders carried out; gives the bad inputs by name, or raises the first one's error."""
        for order, error in find_executor(EXECUTOR)(self._worker, monitor).run(orders):
            if error is None:
                continue
            if self._settings.on_bad_file == "fail":
                raise error
            logger.error("skipped: %s", error)
            yield self.plan.sources[order.index].name, error

    def _carry_out(self, orders: Sequence[Order], monitor: Monitor) -> dict[str, str]:
        """Have the orders carried out; returns the skipped inputs with the reasons."""
        folder, skipped = self._folder, self._folder.skipped()
        todo = [order for order in orders if self.plan.sources[order.index].name not in skipped]
        for name, error in self._outcomes(todo, monitor):
            skipped[name] = str(error)
            folder.write_json(SKIPPED_FILE, skipped)
        for index, source in self.plan.sources.items():
            if source.name in skipped:
                for span in self.plan.spans(index):
                    folder.remove_part(span)
        return skipped

    def _reasons(self, skipped: dict[str, str]) -> Iterator[tuple[str, str]]:
        for file in self.plan.inputs:
            if isinstance(file, BadFile):
                yield file.name, file.reason
            elif file.name in skipped:
                yield file.name, skipped[file.name]


def _orders(spans: Mapping[int, Sequence[PartSpan]], there: Mapping[int, Collection[PartSpan]]) -> list[Order]:
    """An order for the missing parts of each input that lacks some."""
    missing = {index: tuple(each for each in own if each not in there.get(index, ())) for index, own in spans.items()}
    return [Order(index, own) for index, own in missing.items() if own]


def _rows(spans: Mapping[int, Iterable[PartSpan]]) -> int:
    """The input rows that these parts are of."""
    return sum(span.rows for own in spans.values() for span in own)
