"""A report that shows no single row: whatever has a row's values, its place or its name is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from whyport.batch.report.picture import Block, Heading, Note, Section

NOTE = "This page shows no single rows, and nothing that has the values of one: --no-rows left them out."


def without_rows(sections: Sequence[Section]) -> list[Section]:
    """The sections without what is of single rows; a section of nothing else is gone."""
    kept = [replace(each, blocks=tuple(_kept(each.blocks))) for each in sections if not each.of_rows]
    first, *others = [each for each in kept if each.blocks]
    return [replace(first, blocks=(Note(NOTE), *first.blocks)), *others]


def _kept(blocks: Sequence[Block]) -> Iterator[Block]:
    """The blocks that are not of rows, without headings that nothing follows."""
    heading: Heading | None = None
    for block in blocks:
        if isinstance(block, Heading):
            heading = block
        elif not getattr(block, "of_rows", False):
            if heading is not None:
                yield heading
                heading = None
            yield block
