"""Parts that are there already: what their footers say."""

import logging
from collections.abc import Collection

from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import PartFooter, PartSpan, sha256_of
from whyport.batch.output.result import FileReport
from whyport.batch.output.totals import Totals
from whyport.batch.run.description import describe_part
from whyport.batch.run.plan import Plan
from whyport.runtime.errors import JobError

logger = logging.getLogger(__name__)


class FinishedParts:
    """The parts of a job as their own footers describe them, whichever attempt has made them.

    Args:
        plan: the parts that there should be.
        folder: where they lie.
        job: what makes them.
    """

    def __init__(self, plan: Plan, folder: OutputFolder, job: JobFile) -> None:
        self._plan = plan
        self._folder = folder
        self._job = job

    def whole(self, index: int) -> set[PartSpan]:
        """The parts of one input that are there and whole; another file of such a name is logged, and made anew."""
        found = set()
        for span in self._plan.spans(index):
            if not (self._folder.path / span.name).exists():
                continue
            try:
                self.totals(span)
                found.add(span)
            except JobError as error:
                logger.warning("made anew: %s", error)
        return found

    def totals(self, span: PartSpan) -> Totals:
        """The totals of a part, checked against its own rows and those of its rejected part.

        Raises JobError where one is missing, was made by something else, or has not the rows that it should.
        """
        description = describe_part(self._job, self._plan.sources[span.index], span)
        path = self._folder.path / span.name
        part = PartFooter.read(path)
        if part.description != description:
            raise JobError(f"expected a part of this job, got one made by another, in {path}")
        out, rejected = part.totals.rows_out, part.totals.rows_rejected
        if part.rows != out or out + rejected != span.rows:
            raise JobError(f"expected {span.rows} rows out or rejected, got {part.rows} + {rejected}, in {path}")
        beside = self._folder.rejected / span.name
        if rejected:
            other = PartFooter.read(beside)
            if (other.rows, other.description) != (rejected, description):
                raise JobError(f"expected {rejected} rejected rows of this job, got {other.rows}, in {beside}")
        elif beside.exists():
            raise JobError(f"expected no rejected rows, got a file of them, in {beside}")
        return part.totals

    def count(self, skipped: Collection[str]) -> list[tuple[FileReport, Totals]]:
        """Every input's rows as the footers count them; JobError where they are not the input's.

        Args:
            skipped: the names of inputs that have no parts.
        """
        counted = []
        for index, source in self._plan.sources.items():
            if source.name in skipped:
                continue
            totals = sum((self.totals(span) for span in self._plan.spans(index)), Totals())
            out, rejected = totals.rows_out, totals.rows_rejected
            if out + rejected != source.rows:
                raise JobError(f"expected {source.rows} rows out or rejected, got {out} + {rejected}, in {source.name}")
            counted.append((FileReport(source.name, source.rows, out, rejected), totals))
        return counted

    def digests(self) -> dict[str, str]:
        """sha256 of every part and rejected part, by its path in the folder."""
        return {path.relative_to(self._folder.path).as_posix(): sha256_of(path) for path in self._folder.parts()}
