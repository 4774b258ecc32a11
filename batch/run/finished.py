"""Parts that already exist, as their footers describe them."""

import logging
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.part_file import PartFile
from whyport.batch.output.parts import FileColumns, PartFooter, PartSpan, check_content
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.output.result import FileReport
from whyport.batch.output.totals import Totals
from whyport.batch.output.writer import columns_in_file
from whyport.batch.run.description import describe_part
from whyport.batch.run.plan import Plan
from whyport.batch.scoring.arithmetic import Arithmetic
from whyport.runtime.errors import JobError
from whyport.runtime.store.path import Place

logger = logging.getLogger(__name__)


Mark = tuple[str, Arithmetic]
"""A file's sha256, and the arithmetic that made it."""


@dataclass(frozen=True)
class Counted:
    """The parts of a job as they lie in its folder."""

    files: list[tuple[FileReport, Totals]]
    """The rows of each input."""
    digests: dict[str, str]
    """The sha256 of every part and rejected part, by path in the folder."""
    arithmetics: tuple[Arithmetic, ...]
    """The arithmetics that made them, in the parts' order."""


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
        there = PartsThere(self._folder)
        asked = [span for span in spans if there.has(self._folder.path / span.name)]
        found = []
        for span, fault in zip(asked, there.each(partial(self._fault, there, with_pages), asked), strict=True):
            if fault is None:
                found.append(span)
            else:
                logger.warning("made anew: %s", fault)
        return tuple(found)

    def _fault(self, there: PartsThere, with_pages: bool, span: PartSpan) -> JobError | None:
        """The fault of a part; None where there is none."""
        beside = there.open(self._folder.rejected / span.name)
        with there.open(self._folder.path / span.name) as part, beside:
            try:
                footers = self._checked(there, span, part, beside)
                if with_pages:
                    check_content(part, self._part_columns)
                    if beside in footers:
                        check_content(beside, self._rejected_columns)
            except JobError as error:
                return error
        return None

    @cached_property
    def _part_columns(self) -> FileColumns:
        return columns_in_file(self._plan.part_schema)

    @cached_property
    def _rejected_columns(self) -> FileColumns:
        return columns_in_file(self._plan.rejected_schema)

    def _checked(
        self, there: PartsThere, span: PartSpan, part: PartFile, beside: PartFile
    ) -> dict[PartFile, PartFooter]:
        """The footers of a part and of its rejected part, if there is to be one, checked against their rows.

        Raises JobError if a part is missing, was made by another job, or does not have its expected rows.
        """
        description = describe_part(self._job, self._plan.sources[span.index], span)
        footer = PartFooter.read(part)
        if footer.description != description:
            raise JobError(f"expected a part of this job, got one made by another, in {part}")
        out, rejected = footer.totals.rows_out, footer.totals.rows_rejected
        if footer.rows != out or out + rejected != span.rows:
            raise JobError(f"expected {span.rows} rows out or rejected, got {footer.rows} + {rejected}, in {part}")
        if rejected:
            other = PartFooter.read(beside)
            if (other.rows, other.description) != (rejected, description):
                raise JobError(f"expected {rejected} rejected rows of this job, got {other.rows}, in {beside}")
            return {part: footer, beside: other}
        if there.has(beside.path):
            raise JobError(f"expected no rejected rows, got a file of them, in {beside}")
        return {part: footer}

    def counted(self, skipped: Collection[str]) -> Counted:
        """Count every input's rows from the footers; raises JobError if they are not the input's rows.

        Args:
            skipped: the names of inputs that have no parts.
        """
        there = PartsThere(self._folder)
        indices = [index for index, source in self._plan.sources.items() if source.name not in skipped]
        spans = {index: self._plan.spans(index) for index in indices}
        landed = there.each(partial(self._landed, there), chain.from_iterable(spans.values()))
        files: list[tuple[FileReport, Totals]] = []
        marks: dict[Place, Mark] = {}
        with closing(landed):
            for index in indices:
                source, totals = self._plan.sources[index], Totals()
                for _ in spans[index]:
                    own, found = next(landed)
                    totals += own
                    marks |= found
                out, rejected = totals.rows_out, totals.rows_rejected
                if out + rejected != source.rows:
                    expected = f"expected {source.rows} rows out or rejected"
                    raise JobError(f"{expected}, got {out} + {rejected}, in {source.name}")
                files.append((FileReport(source.name, source.rows, out, rejected), totals))
        digests: dict[str, str] = {}
        arithmetics: list[Arithmetic] = []
        for path in self._folder.parts():
            digest, arithmetic = marks.get(path) or _mark(there.open(path))
            digests[path.relative_to(self._folder.path).as_posix()] = digest
            if arithmetic not in arithmetics:
                arithmetics.append(arithmetic)
        return Counted(files, digests, tuple(arithmetics))

    def _landed(self, there: PartsThere, span: PartSpan) -> tuple[Totals, dict[Place, Mark]]:
        """The totals of a part, and the marks of its files."""
        beside = there.open(self._folder.rejected / span.name)
        with there.open(self._folder.path / span.name) as part, beside:
            footers = self._checked(there, span, part, beside)
            marks = {file.path: (file.sha256(), footer.arithmetic) for file, footer in footers.items()}
            return footers[part].totals, marks


def _mark(part: PartFile) -> Mark:
    return part.sha256(), PartFooter.read(part).arithmetic
