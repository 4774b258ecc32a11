"""A document of facts and tables in sections: text for a terminal, JSON for a program, Markdown for a page.

The text rounds; the JSON has every number as it is, and null where there is none.
"""

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import click
import numpy as np

from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.terminal import escaped, escaped_json, say

TEXT, JSON, MARKDOWN = "text", "json", "markdown"
FORMATS = (TEXT, JSON, MARKDOWN)
NOTHING = "-"
"""The sign of text and Markdown for a missing value."""

# The signs that may mean something inside a line of Markdown, or begin HTML there.
MARKED = re.compile(r"[\\`*_\[\]<>|#~&]")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fact:
    """A value with its name; in words it may have several lines, or none."""

    key: str
    """The name in JSON."""
    value: Any
    """The value in JSON: a number, a text, None, or lists and mappings of these."""
    name: str = ""
    """The name in words; the key where it is empty."""
    words: str | Sequence[str] | None = None
    """The value in words, or several lines of them; None for the value itself, () for nothing."""

    def told(self) -> tuple[str, ...]:
        """The value in words, line by line."""
        if self.words is None:
            return (in_words(self.value),)
        return (self.words,) if isinstance(self.words, str) else tuple(self.words)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    key: str
    """The name in JSON."""
    title: str = ""
    """The name in words; the key where it is empty."""
    unit: str | None = None
    """The unit of its values, which the title has in parentheses."""
    format: str = ".6g"
    """How its numbers are written, as Python's `format` takes it; whole numbers are written whole."""
    words: Callable[[Any], str] | None = None
    """How its values are told that are no single numbers, such as a figure with its interval."""

    @property
    def heading(self) -> str:
        """The name in words, with the unit."""
        title = self.title or self.key
        return f"{title} ({self.unit})" if self.unit else title


@dataclass(frozen=True)
class Table:
    """Rows of values: in JSON a list of objects."""

    key: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    lines: Sequence[str] | None = None
    """The lines for a terminal, where they are others than the aligned columns and the note."""
    note: str = ""
    """A line below the table."""


@dataclass(frozen=True)
class Words:
    """Lines for a terminal alone, such as a small picture of signs."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Section:
    """Facts, tables and further sections below a heading: in JSON an object."""

    key: str = ""
    title: str = ""
    blocks: Sequence["Fact | Table | Words | Section"] = field(default_factory=list)
    is_one_of_many: bool = False
    """Whether sections of this key make a list in JSON, also where there is one."""
    width: int = 11
    """The characters that the names of facts take in text."""


def data_of(section: Section) -> dict[str, Any]:
    """A section as a program reads it: JSON's types alone, and exact numbers; null for what is not finite."""
    found: dict[str, Any] = {}
    for block in section.blocks:
        if isinstance(block, Fact):
            found[block.key] = as_json(block.value)
        elif isinstance(block, Table):
            keys = [column.key for column in block.columns]
            found[block.key] = [dict(zip(keys, map(as_json, row), strict=True)) for row in block.rows]
        elif isinstance(block, Section) and block.is_one_of_many:
            found.setdefault(block.key, []).append(data_of(block))
        elif isinstance(block, Section):
            found[block.key] = data_of(block)
    return found


def as_json(value: Any) -> Any:
    """A value in JSON's types: dates as ISO 8601, decimals as text, bytes in base64; null for what is not finite."""
    if value is None or isinstance(value, str | bool | np.bool_):
        return value if isinstance(value, str | None) else bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(each) for each in value]
    return str(value)


def in_words(value: Any, number: str = ".6g") -> str:
    """A value for a reader; `number` is the format of numbers that are not whole."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return format(float(value), number)
    if isinstance(value, Decimal | dt.date | dt.time | int | np.integer | str):
        return str(value)
    return json.dumps(as_json(value), ensure_ascii=False)


def text_lines(section: Section, depth: int = 0) -> Iterator[str]:
    """The lines for a terminal."""
    if section.title:
        yield section.title
    for block in section.blocks:
        if isinstance(block, Fact):
            yield from (f"{block.name or block.key:{section.width}} {each}" for each in block.told())
        elif isinstance(block, Table):
            yield from _aligned(block) if block.lines is None else block.lines
        elif isinstance(block, Words):
            yield from block.lines
        else:
            if depth == 0 and block.is_one_of_many and block is not section.blocks[0]:
                yield ""
            yield from text_lines(block, depth + 1)


def markdown_lines(section: Section, level: int = 1) -> Iterator[str]:
    """The lines of a Markdown document; whatever means something in Markdown is escaped in them."""
    if section.title:
        yield from (f"{'#' * min(level, 6)} {_marked(section.title)}", "")
    are_facts = False
    for block in section.blocks:
        if isinstance(block, Words):
            continue
        if are_facts and not isinstance(block, Fact):
            yield ""
        are_facts = isinstance(block, Fact) and bool(block.told() or are_facts)
        if isinstance(block, Fact):
            yield from (f"- {_marked(block.name or block.key)}: {_marked(each)}" for each in block.told())
        elif isinstance(block, Table):
            yield from _piped(block)
        else:
            yield from markdown_lines(block, level + 1 if section.title else level)
    if are_facts:
        yield ""


def rendered(section: Section, format: str) -> list[str]:
    """The lines of a document in one of FORMATS; of JSON, a single line. Raises UsageError for another format."""
    if format == JSON:
        return [json.dumps(data_of(section), ensure_ascii=False)]
    check_format(format)
    return [*(text_lines(section) if format == TEXT else markdown_lines(section))]


def check_format(format: str) -> None:
    """Raise UsageError for a format that there is not."""
    if format not in FORMATS:
        raise UsageError(unknown("format", format, FORMATS))


def tell(section: Section, format: str) -> None:
    """Print a document in one of FORMATS."""
    for line in rendered(section, format):
        tell_line(line, format)


def tell_line(line: str, format: str) -> None:
    """Print one line of a document in that format."""
    if format == JSON:
        click.echo(escaped_json(line))
    else:
        say(line)


def format_option() -> Callable[[F], F]:
    """The option `--format` of a command that prints a document."""
    return click.option(
        "--format",
        type=click.Choice(FORMATS),
        default=TEXT,
        show_default=True,
        help="text for a reader, json with exact numbers for a program, or markdown for a page.",
    )


def cells_in_words(table: Table) -> list[list[str]]:
    """The values of a table for a reader, row by row."""
    return [[_told(value, column) for value, column in zip(row, table.columns, strict=True)] for row in table.rows]


def _told(value: Any, column: Column) -> str:
    return in_words(value, column.format) if column.words is None or value is None else column.words(value)


def _aligned(table: Table) -> Iterator[str]:
    """A table in columns: numbers to the right, texts to the left."""
    if table.title:
        yield table.title
    cells = [[escaped(each) for each in row] for row in [[c.heading for c in table.columns], *cells_in_words(table)]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [are_numbers(values) for values in zip(*table.rows, strict=True)] or [False] * len(widths)
    for row in cells:
        padded = (
            each.rjust(width) if to_right else each.ljust(width)
            for each, width, to_right in zip(row, widths, right, strict=True)
        )
        yield f"  {'  '.join(padded)}".rstrip()
    if table.note:
        yield f"  {table.note}"


def _piped(table: Table) -> Iterator[str]:
    """A table as GitHub's Markdown has them."""
    if table.title:
        yield from (_marked(table.title), "")
    right = [are_numbers(values) for values in zip(*table.rows, strict=True)] or [False] * len(table.columns)
    yield f"| {' | '.join(_marked(column.heading) for column in table.columns)} |"
    yield f"|{'|'.join('---:' if to_right else '---' for to_right in right)}|"
    for row in cells_in_words(table):
        yield f"| {' | '.join(map(_marked, row))} |"
    yield ""
    if table.note:
        yield from (_marked(table.note), "")


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether a column has numbers, and nothing else."""
    numbers = [value for value in values if value is not None]
    return bool(numbers) and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in numbers
    )


def _marked(text: str) -> str:
    """A text as Markdown shows it: one line, and no sign means anything."""
    return MARKED.sub(r"\\\g<0>", escaped(text)).strip()
