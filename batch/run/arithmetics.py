"""The arithmetics of a job: those that its folder records, and this attempt's own."""

import dataclasses
import logging

from whyport.batch.output.folder import JOB_FILE, OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.run.worker import Worker
from whyport.batch.scoring.arithmetic import Arithmetic, other_arithmetic
from whyport.runtime.errors import UsageError

logger = logging.getLogger(__name__)


class JobArithmetics:
    """Refuses another arithmetic than a job's; where any is allowed, records it.

    Args:
        folder: the output folder.
        job: the job, without arithmetics.
        worker: knows this process's own.
        any_allowed: whether parts of several arithmetics may be in one job.
    """

    def __init__(self, folder: OutputFolder, job: JobFile, worker: Worker, *, any_allowed: bool) -> None:
        self._folder = folder
        self._job = job
        self._worker = worker
        self._any_allowed = any_allowed

    @property
    def own_job(self) -> JobFile:
        """The job, as this process makes its parts."""
        return dataclasses.replace(self._job, arithmetic=(self._worker.arithmetic,))

    def join(self) -> tuple[Arithmetic, ...]:
        """The arithmetics of the folder's job, and this attempt's; raises UsageError for one that is not allowed."""
        known, own = self._recorded(), self._worker.arithmetic
        if own in known or not known:
            return known or (own,)
        self._allow(known, own)
        return (*known, own)

    def begin(self) -> None:
        """Record what the parts of a run that goes on may have; raises UsageError as `join`."""
        # A job without parts may begin anywhere.
        self._record(self.join() if self._folder.parts() else (self._worker.arithmetic,))

    def check(self, found: tuple[Arithmetic, ...]) -> None:
        """Record the arithmetics of the parts where any is allowed; UsageError for one that the job does not have."""
        if self._any_allowed:
            self._record(found)
            return
        known = self._recorded()
        for each in found:
            if each not in known:
                self._allow(known, each)

    def _recorded(self) -> tuple[Arithmetic, ...]:
        return JobFile.build(self._folder.read_json(JOB_FILE), self._folder.path / JOB_FILE).arithmetic

    def _allow(self, known: tuple[Arithmetic, ...], other: Arithmetic) -> None:
        what = other_arithmetic(known, other)
        if not self._any_allowed:
            raise UsageError(
                f"{str(self._folder.path)!r} holds parts of another arithmetic: {what}; resume where it began, or "
                "--any-arithmetic goes on and records it, or --overwrite starts anew"
            )
        logger.warning("parts of several arithmetics: %s; each part's footer says which made it", what)

    def _record(self, arithmetics: tuple[Arithmetic, ...]) -> None:
        """Write them into the job's description, where they are not there already."""
        job = dataclasses.replace(self._job, arithmetic=arithmetics)
        if self._folder.read_json(JOB_FILE)["arithmetic"] != job.document()["arithmetic"]:
            self._folder.write_json(JOB_FILE, job.document())
