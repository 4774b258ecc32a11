"""The sections on groups of rows, on another run and on soundness: a document's blocks as those of a page."""

from collections.abc import Iterator

from whyport.batch.report.picture import Block, Heading, Section, Table
from whyport.batch.review import document

LEAD = "Figures, intervals and definitions for each group of rows, and no verdict. A small group is marked."

OF_SAMPLE = (
    "The model asked again, on a sample of the explained rows. A figure can show an explanation wrong, none right."
)

BESIDE = "What has moved from A to B, this run: figures with what chance alone gives, and no verdict."


def groups_section(groups: document.Section) -> Section:
    """The groups of a run beside each other."""
    return Section("groups", groups.title.capitalize(), LEAD, tuple(blocks_of(groups)))


def soundness_section(soundness: document.Section) -> Section:
    """Whether the explanations are sound."""
    return Section("soundness", soundness.title, OF_SAMPLE, tuple(blocks_of(soundness)))


def against_section(against: document.Section) -> Section:
    """The run beside another one, or beside a bundle's training."""
    return Section("against", "Beside another run", BESIDE, tuple(blocks_of(against)))


def blocks_of(section: document.Section) -> Iterator[Block]:
    """The facts, tables and further sections of a document."""
    facts: list[tuple[str, str]] = []
    for block in section.blocks:
        if isinstance(block, document.Fact):
            facts += [(block.name or block.key, each) for each in block.told()]
            continue
        if facts:
            yield Table("What is compared", ("", ""), tuple(facts))
            facts = []
        if isinstance(block, document.Table):
            yield _table(block)
        elif isinstance(block, document.Section):
            yield Heading(block.title)
            yield from blocks_of(block)
    if facts:
        yield Table("Definitions", ("", ""), tuple(facts))


def _table(table: document.Table) -> Table:
    heads = tuple(column.heading for column in table.columns)
    rows = tuple(tuple(row) for row in document.cells_in_words(table))
    numeric = frozenset(i for i, values in enumerate(zip(*table.rows, strict=True)) if document.are_numbers(values))
    return Table(table.title, heads, rows, numeric)
