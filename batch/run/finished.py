"""Parts that already exist, as their footers describe them."""

import logging
from collections.abc import Collection, Iterable
from functools import cached_property

from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import FileColumns, PartFooter, PartSpan, check_content, sha256_of
from whyport.batch.output.result import FileReport
from whyport.batch.output.totals import Totals
from whyport.batch.output.writer import columns_in_file
from whyport.batch.run.description import describe_part
from whyport.batch.run.plan import Plan
from whyport.runtime.errors import JobError

logger = logging.getLogger(__name__)


class FinishedParts:
    """The parts of a job as their own footers describe them, whichever attempt made them.

    Args:
        plan: the expected parts.
        folder: the output folder.
        job: the job that makes the parts.
    """

    def __init__(self, plan: Plan, folder: OutputFolder, job: JobFile) -> None:
        self._plan = plan
        self._folder = folder
        self._job = job

    def whole(self, spans: Iterable[PartSpan], *, with_pages: bool) -> tuple[PartSpan, ...]:
        """The parts that are there and whole, of some; any other file with a part's name is logged, and made anew.

        Args:
            spans: the parts.
            with_pages: whether to check the columns too, and to compare every page with its checksum.
        """
        found = []
        for span in spans:
            if not (self._folder.path / span.name).exists():
                continue
            try:
                totals = self.totals(span)
                if with_pages:
                    check_content(self._folder.path / span.name, self._part_columns)
                    if totals.rows_rejected:
                        check_content(self._folder.rejected / span.name, self._rejected_columns)
                found.append(span)
            except JobError as error:
                logger.warning("made anew: %s", error)
        return tuple(found)

    @cached_property
    def _part_columns(self) -> FileColumns:
        return columns_in_file(self._plan.part_schema)

    @cached_property
    def _rejected_columns(self) -> FileColumns:
        return columns_in_file(self._plan.rejected_schema)

    def totals(self, span: PartSpan) -> Totals:
        """The totals of a part, checked against its own rows and the rows of its rejected part.

        Raises JobError if a part is missing, was made by another job, or does not have its expected rows.
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
        """Count every input's rows from the footers; raises JobError if they are not the input's rows.

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

    def arithmetics(self) -> tuple[dict[str, str], ...]:
        """The arithmetics that made the parts, in the parts' order."""
        found: list[dict[str, str]] = []
        for path in self._folder.parts():
            arithmetic = PartFooter.read(path).arithmetic
            if arithmetic not in found:
                found.append(arithmetic)
        return tuple(found)

    def digests(self) -> dict[str, str]:
        """The sha256 of every part and rejected part, by path in the folder."""
        return {path.relative_to(self._folder.path).as_posix(): sha256_of(path) for path in self._folder.parts()}
