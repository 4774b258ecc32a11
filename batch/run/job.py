"""A job: Parquet in, predictions and explanations out, with every row accounted for through any interruption."""

import dataclasses
import logging
from collections.abc import Iterator

from whyport.batch.output.folder import JOB_FILE, SKIPPED_FILE, OutputFolder, folder_lock
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.result import JobReport, Performance, SkippedFile, read_report
from whyport.batch.run.description import describe_job
from whyport.batch.run.executors import find_executor
from whyport.batch.run.finished import FinishedParts
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.plan import BadFile, Plan
from whyport.batch.run.watch import CallbackError, Monitor, Progress, ProgressCallback, Stages
from whyport.batch.run.worker import Order, Worker
from whyport.batch.scoring.arithmetic import Arithmetic, other_arithmetic
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk, writing
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError
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

    def run(self, interruption: Interruption | None = None, progress: ProgressCallback | None = None) -> JobReport:
        """Score and explain every row that is not done yet; writes `_SUCCESS` only if rows in = rows out + rejected.

        Args:
            interruption: may end the run between two parts; the next attempt continues from there.
            progress: called for every batch, in place of a bar on the terminal; an error in it ends the run.

        Raises:
            UsageError: the folder holds another job, or parts of another arithmetic.
            DataError: an input is bad, with column, row and file; ValueRangeError and MissingValueError among them.
            ParityError, OutputError, InterruptedJobError: the run stopped; finished parts stay.
            JobError: another run is at work, an input changes meanwhile, or rows do not add up.
        """
        folder = self._folder
        with writing(folder.path):
            folder.disk.make_folder(folder.path)
        with folder_lock(folder.path):
            folder.check()
            if self.plan.passed_over.text:
                logger.info(self.plan.passed_over.text)
            if self.plan.size.total > LARGE_OUTPUT_BYTES:
                logger.info("output: %s", self.plan.size.text)
            for line in self.plan.changed_types:
                logger.warning("%s", line)
            job = dataclasses.replace(self._description, arithmetic=(self._worker.arithmetic,))
            is_resumed = folder.open(job, self._settings.overwrite)
            if self._settings.on_bad_file == "fail" and folder.skipped():
                folder.forget_skipped()
            if folder.is_finished:
                logger.info("the run in %s is finished already", folder.path)
                return read_report(folder)
            if is_resumed:
                self._record(self._arithmetics())
            try:
                return self._run(interruption or Interruption(), is_resumed, progress)
            except CallbackError as failed:
                raise failed.error from None

    def lines(self) -> list[str]:
        """The plan of `run` for a terminal; writes nothing. Raises UsageError if the folder does not allow the run."""
        folder = self._folder
        is_resumed = folder.holds(self._description, self._settings.overwrite)
        whole = (
            sum(len(self._finished.whole(index, with_pages=False)) for index in self.plan.sources) if is_resumed else 0
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
        """The arithmetics of the parts in the folder, and of this attempt.

        Raises UsageError where this attempt's is another than the parts', unless the settings allow any.
        """
        path, own = self._folder.path / JOB_FILE, self._worker.arithmetic
        known = JobFile.build(self._folder.read_json(JOB_FILE), path).arithmetic if self._folder.parts() else ()
        if own in known or not known:
            return known or (own,)
        what = other_arithmetic(known, own)
        if not self._settings.any_arithmetic:
            raise UsageError(
                f"{str(self._folder.path)!r} holds parts of another arithmetic: {what}; resume where it began, or "
                "--any-arithmetic goes on and records it, or --overwrite starts anew"
            )
        logger.warning("parts of several arithmetics: %s; each part's footer says which made it", what)
        return (*known, own)

    def _record(self, arithmetics: tuple[Arithmetic, ...]) -> None:
        """Write the arithmetics of the parts into the job's description, where they are not there already."""
        job = dataclasses.replace(self._description, arithmetic=arithmetics)
        if self._folder.read_json(JOB_FILE)["arithmetic"] != job.document()["arithmetic"]:
            self._folder.write_json(JOB_FILE, job.document())

    def _run(self, interruption: Interruption, is_resumed: bool, callback: ProgressCallback | None) -> JobReport:
        plan, folder, stages = self.plan, self._folder, Stages()
        folder.check_contents(span for index in plan.sources for span in plan.spans(index))
        finished = {
            index: self._finished.whole(index, with_pages=True) if is_resumed else set() for index in plan.sources
        }
        orders = [
            Order(index, tuple(span for span in plan.spans(index) if span not in finished[index]))
            for index in plan.sources
        ]
        done = sum(span.rows for spans in finished.values() for span in spans)
        progress = Progress(plan.rows, done, callback)
        with stages.stage("total"):
            try:
                skipped = self._carry_out(orders, Monitor(stages, progress, interruption))
            finally:
                progress.close()
            with stages.stage("check"):
                files = self._finished.count(skipped)
                digests = self._finished.digests()
                if self._settings.any_arithmetic:
                    self._record(self._finished.arithmetics())
        kept = [len(spans) for index, spans in finished.items() if plan.sources[index].name not in skipped]
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

    def _carry_out(self, orders: list[Order], monitor: Monitor) -> dict[str, str]:
        """Have the orders carried out; returns the skipped inputs with the reasons."""
        folder, skipped = self._folder, self._folder.skipped()
        todo = [order for order in orders if self.plan.sources[order.index].name not in skipped]
        for order, error in find_executor(EXECUTOR)(self._worker, monitor).run(todo):
            if error is None:
                continue
            if self._settings.on_bad_file == "fail":
                raise error
            logger.error("skipped: %s", error)
            skipped[self.plan.sources[order.index].name] = str(error)
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
