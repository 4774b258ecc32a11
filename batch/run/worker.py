"""Workers, which make parts: in this process, or in another one that is prepared by a small record."""

import dataclasses
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from whyport.batch.output.differences import MAX_LINES, differences
from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import ARITHMETIC_KEY, PartSpan
from whyport.batch.run.description import describe_job, describe_part
from whyport.batch.run.intake import Intake
from whyport.batch.run.part import PartRunner
from whyport.batch.run.plan import Plan
from whyport.batch.run.warm_up import WarmUp
from whyport.batch.run.watch import Monitor
from whyport.batch.scoring.arithmetic import Arithmetic, arithmetic_of, other_arithmetic
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.settings import JobSettings
from whyport.batch.source.cleaning import RowCleaner
from whyport.batch.store.local import Disk
from whyport.batch.store.objects import disk_of
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.errors import JobError
from whyport.runtime.session import Session
from whyport.runtime.store.path import Place


@dataclass(frozen=True)
class Order:
    """The missing parts of one input, in order."""

    index: int
    """The input's place among all."""
    spans: tuple[PartSpan, ...]


class Worker:
    """Makes the parts of its orders.

    Args:
        plan: the inputs and the columns.
        folder: the output folder.
        session: the model.
        job: the run's description.
    """

    def __init__(self, plan: Plan, folder: OutputFolder, session: Session, job: JobFile) -> None:
        settings = plan.settings
        self._plan = plan
        self._folder = folder
        self._session = session
        self._job = job
        self._started = Path.cwd()
        self._cleaner = RowCleaner(
            session.bundle.sidecar,
            settings.on_bad_row,
            plan.choice.label,
            on_unseen=settings.on_unseen,
            read_file=session.bundle.read_bytes,
        )
        self._scorer = Scorer(session, settings.methods, plan.choice, settings.explain, plan.reduction)

    @property
    def folder(self) -> Place:
        """The output folder; absolute."""
        return self._folder.path

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """The arithmetic of this process, as digests by name."""
        return arithmetic_of(self._session, self._scorer.explainers)

    @cached_property
    def time_text(self) -> str:
        """The time of the whole run in words, by its first rows."""
        return WarmUp(self._plan, self._cleaner, self._scorer).text()

    @cached_property
    def setup(self) -> "WorkerSetup":
        """The record that builds an equal worker in another process."""
        job = dataclasses.replace(self._job, arithmetic=(self.arithmetic,))
        return WorkerSetup(self._session.bundle.place, self._started, self._plan.settings, job)

    def run(self, order: Order, monitor: Monitor) -> None:
        """Make the parts of an order, with one reader for neighbours; raises DataError for a bad input."""
        source = self._plan.sources[order.index]
        intake = Intake(self._plan, self._cleaner, monitor.stages)
        runner = PartRunner(self._plan, self._folder, self._scorer, monitor)
        for spans in _neighbours(order.spans):
            with intake.batches(source, spans[0].start, spans[-1].stop) as batches:
                for span in spans:
                    description = describe_part(self._job, source, span) | {ARITHMETIC_KEY: self.arithmetic}
                    runner.run(source, span, batches, description, is_last=span == order.spans[-1])


@dataclass(frozen=True)
class WorkerSetup:
    """The record that a worker is rebuilt from: small and without open files, so that it can be pickled."""

    bundle: Place
    folder: Path
    """The working folder that the settings' paths are relative to."""
    settings: JobSettings
    job: JobFile

    def build(self, disk: Disk | None = None) -> Worker:
        """Build a worker that makes equal parts; raises JobError if bundle, inputs, versions or arithmetic differ here.

        With the setting `any_arithmetic`, another one is no error: the parts say what made them.
        """
        bundle = bundle_in(Bundle.read(self.bundle), self.settings.variant)
        session = Session(bundle, self.settings.device, threads=self.settings.threads)
        # Names stay as they were given, and lead to the same places as where the run began.
        with chdir(self.folder):
            plan = Plan.make(bundle, self.settings)
            here = describe_job(bundle, plan, session)
            folder = OutputFolder(self.settings.out, disk or disk_of(self.settings.out))
        changed = differences(self.job.document(), here.document())
        if changed:
            raise JobError(
                "expected the run's own bundle, inputs, versions and provider, got others where it is to run"
            ).with_details(changed[:MAX_LINES])
        worker = Worker(plan, folder, session, here)
        if worker.arithmetic not in self.job.arithmetic and not self.settings.any_arithmetic:
            raise JobError(
                f"expected the run's arithmetic where it is to run: "
                f"{other_arithmetic(self.job.arithmetic, worker.arithmetic)}"
            )
        return worker


def _neighbours(spans: tuple[PartSpan, ...]) -> Iterator[list[PartSpan]]:
    """Groups of parts whose rows are contiguous."""
    run: list[PartSpan] = []
    for span in spans:
        if run and run[-1].stop != span.start:
            yield run
            run = []
        run.append(span)
    if run:
        yield run
