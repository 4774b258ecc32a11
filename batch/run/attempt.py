"""An attempt at a job, or at a shard of it: what both do alike."""

import dataclasses
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain

from whyport.batch.output.fence import take_down_all
from whyport.batch.output.folder import JOB_FILE, OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import PartSpan
from whyport.batch.output.result import JobReport, Performance, read_report
from whyport.batch.progress import CallbackError
from whyport.batch.run.arithmetics import JobArithmetics
from whyport.batch.run.description import describe_job
from whyport.batch.run.executors import find_executor
from whyport.batch.run.executors.where import Where
from whyport.batch.run.finished import FinishedParts
from whyport.batch.run.plan import Plan
from whyport.batch.run.watch import Monitor
from whyport.batch.run.worker import Order, Worker
from whyport.batch.settings import JobSettings
from whyport.batch.source.keep import is_pattern
from whyport.batch.store.local import Disk, writing
from whyport.batch.store.lock import folder_lock
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.errors import DataError
from whyport.runtime.session import Session
from whyport.runtime.signing.bundle import bundle_mark

logger = logging.getLogger(__name__)

LARGE_OUTPUT_BYTES = 10**9
"""The output whose size is told when an attempt begins."""

Spans = Mapping[int, Sequence[PartSpan]]
"""Parts, in order, by the index of their input."""


class Attempt:
    """Holds the folder, tells which parts are there, and has the others made.

    Args:
        bundle: the model.
        settings: the options.
        disk: writes the output.
        where: the executor and its cluster.

    Raises:
        UsageError, ColumnError, DataError, BundleError, ProviderError: the settings cannot be carried out.
    """

    def __init__(self, bundle: Bundle, settings: JobSettings, disk: Disk, where: Where) -> None:
        bundle = bundle_in(bundle, settings.variant)
        self._made_of = bundle, settings, disk, where
        self.bundle_signature = bundle_mark(bundle.as_stored, settings.require_signature)
        # Nothing that is made knows of the key: neither the folder nor a worker elsewhere.
        self.settings = settings = dataclasses.replace(settings, require_signature=None)
        self._where, self._executor = where, find_executor(where.executor)
        self.folder = OutputFolder(settings.out, disk)
        self.folder.check()
        self.plan = Plan.make(bundle, settings)
        session = Session(bundle, settings.device, threads=settings.threads)
        self.job = describe_job(bundle, self.plan, session)
        self.worker = Worker(self.plan, self.folder, session, self.job)
        self.finished = FinishedParts(self.plan, self.folder, self.job)
        self.arithmetics = JobArithmetics(self.folder, self.job, self.worker, any_allowed=settings.any_arithmetic)

    @contextmanager
    def holding(self, *, shared: bool) -> Iterator[None]:
        """Hold the folder, and say what is worth knowing before the work."""
        folder = self.folder
        with writing(folder.path):
            folder.disk.make_folder(folder.path)
        with folder_lock(folder.path, shared=shared, take_over=self.settings.take_over) as folder.check_lock:
            folder.check()
            if not shared:
                take_down_all(folder.path)
            self.say_inputs()
            if self.plan.size.total > LARGE_OUTPUT_BYTES:
                logger.info("output: %s", self.plan.size.text)
            if self.plan.reasons is not None:
                logger.info("reasons: %s", self.plan.reasons.text)
                if self.plan.reasons.is_guess(self.settings.favourable):
                    logger.warning(
                        "reasons: the favourable outcome is the second of two classes: --favourable names it"
                    )
            for line in self.plan.not_kept:
                logger.info("%s", line)
            for line in self.plan.changed_types:
                logger.warning("%s", line)
            try:
                yield
            except CallbackError as failed:
                raise failed.error from None

    def with_inputs_of_others(self) -> "Attempt | None":
        """An attempt with the job's inputs, where another shard has chosen these after this one chose its own.

        None where nobody has.
        """
        new = self.plan.new
        is_late = new is not None and not new.resumes and (self.folder.path / JOB_FILE).exists()
        return Attempt(*self._made_of) if is_late else None

    def report_of_nothing(self) -> JobReport:
        """Say that nothing is new; gives the report of the finished job in the folder, or one without files.

        Raises UsageError if the finished job has other settings.
        """
        self.say_inputs()
        if not self.folder.is_finished or self.settings.overwrite:
            none = Performance.of({"total": 0.0}, 0, 0)
            return JobReport.of([], [], self.plan.passed_over, {}, self.job.provider, none)
        there = JobFile.build(self.folder.read_json(JOB_FILE), self.folder.path / JOB_FILE)
        settings = self.job.settings
        if self.settings.keep_features or any(map(is_pattern, self.settings.keep)):
            settings = dataclasses.replace(settings, keep=there.settings.keep)  # without inputs, it matches nothing
        own = dataclasses.replace(self.job, inputs=there.inputs, settings=settings)
        self.folder.holds(own, overwrite=False)
        logger.info("the run in %s is finished already", self.folder.path)
        return read_report(self.folder)

    def check_still_new(self) -> None:
        """Raise UsageError if another job has scored some of the inputs since they were chosen as new."""
        if self.plan.new is not None:
            self.plan.new.check_still_new(self.settings, self.plan.columns)

    def say_inputs(self) -> None:
        """Say what was chosen of the inputs, and what was passed over."""
        new = self.plan.new
        for line in new.lines if new else ():
            logger.info("%s", line)
        for line in new.warnings if new else ():
            logger.warning("%s", line)
        if self.plan.passed_over.text:
            logger.info("%s", self.plan.passed_over.text)

    @property
    def spans(self) -> dict[int, tuple[PartSpan, ...]]:
        """Every part of the job."""
        return {index: tuple(self.plan.spans(index)) for index in self.plan.sources}

    def there(self, spans: Spans) -> dict[int, tuple[PartSpan, ...]]:
        """The parts that are there and whole, of some."""
        whole = set(self.finished.whole(chain.from_iterable(spans.values()), with_pages=True))
        return {index: tuple(span for span in own if span in whole) for index, own in spans.items()}

    def carry_out(self, orders: Iterable[Order], monitor: Monitor) -> Generator[tuple[str, DataError], None, None]:
        """Have the orders carried out; gives the bad inputs by name, or raises the first one's error."""
        # However it ends, the workers have ended before the folder is let go.
        with closing(self._executor(self.worker, monitor, self._where).run(orders)) as outcomes:
            for order, error in outcomes:
                if error is None:
                    continue
                if self.settings.on_bad_file == "fail":
                    raise error
                logger.error("skipped: %s", error)
                yield self.plan.sources[order.index].name, error


def orders_for(spans: Spans, there: Spans) -> list[Order]:
    """An order for the missing parts of each input that lacks some."""
    missing = {index: tuple(each for each in own if each not in there.get(index, ())) for index, own in spans.items()}
    return [Order(index, own) for index, own in missing.items() if own]


def rows_of(spans: Spans) -> int:
    """The input rows that parts are of."""
    return sum(span.rows for own in spans.values() for span in own)
