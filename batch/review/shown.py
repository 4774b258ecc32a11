"""The rows that `whyport show` is asked for, as a document."""

from collections.abc import Iterator
from dataclasses import dataclass

from whyport.batch.review.against import difference_sections
from whyport.batch.review.document import Fact, Section
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.lookup import Found, look_up
from whyport.batch.review.show import FoundRow, row_section
from whyport.runtime.arguments import as_type, at_least
from whyport.runtime.errors import UsageError
from whyport.runtime.store.path import Place


@dataclass(frozen=True)
class Question:
    """The rows that are asked for: by number, or by a condition; each perhaps set against another row."""

    rows: tuple[int, ...] = ()
    where: str | None = None
    file: str | None = None
    """The input of the rows; None if there is only one, or for a condition on all."""
    against: int | None = None
    """A row that each of them is set against."""
    against_file: str | None = None
    """The input of that row; None for that of `file`."""
    top: int = 10
    """How many reasons of each explanation to give."""
    limit: int = 10
    """How many of the rows that meet a condition to give."""

    def __post_init__(self) -> None:
        for row in self.rows:
            at_least("row", as_type("row", row, (int,)), 0)
        at_least("top", self.top, 1)
        at_least("limit", self.limit, 1)
        if self.against is not None:
            at_least("against", self.against, 0)
        if self.rows and self.where is not None:
            raise UsageError("row: expected rows by number, or a condition by where, got both")
        if not self.rows and self.where is None:
            raise UsageError("row: expected a row's number, or a condition by where, got neither")
        if self.against_file is not None and self.against is None:
            raise UsageError("against_file: expected a row's number by against beside it, got none")


def answer(out: Place, question: Question) -> Section:
    """The rows that a question asks for.

    Raises:
        UsageError: there is no such row or file, or the condition is none. JobError: a row is not in the output.
    """
    run = FinishedRun.read(out, unfinished=True)
    other = None
    if question.against is not None:
        index = run.find_input(question.file if question.against_file is None else question.against_file)
        other = FoundRow.read(run, index, question.against)
    if question.where is None:
        index = run.find_input(question.file)
        return Section(blocks=[*_sections([FoundRow.read(run, index, row) for row in question.rows], other, question)])
    own = None if question.file is None else run.find_input(question.file)
    found = look_up(run, question.where, own, question.limit)
    return Section(blocks=[*_counts(found, question.where), *_sections(found.rows, other, question)])


def _counts(found: Found, where: str) -> Iterator[Fact]:
    yield Fact("where", where, words=())
    shown = "" if len(found.rows) == found.total else f", the first {len(found.rows)} below: --limit"
    rejected = f", {found.rejected} of them rejected" if found.rejected else ""
    yield Fact("found", found.total, words=f"{found.total} where {where}{rejected}{shown}", name="rows")
    yield Fact("found_rejected", found.rejected, words=())
    why = f"{found.not_asked} rejected rows have not the columns of this condition: they may meet it or not"
    yield Fact("rejected_not_asked", found.not_asked, "not asked", why if found.not_asked else ())
    if not found.rows:
        yield Fact("rows", [], words=())


def _sections(rows: list[FoundRow], other: FoundRow | None, question: Question) -> Iterator[Section]:
    for each in rows:
        section = row_section(each, question.top)
        if other is not None:
            apart = difference_sections(each, other, question.top)
            section = Section(section.key, section.title, [*section.blocks, *apart], is_one_of_many=True)
        yield section
