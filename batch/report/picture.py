"""The elements of a report: sections with pictures and tables, and their descriptions in words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import LENGTHS, shorten

Data = Mapping[str, Sequence[Any] | NDArray[Any]]
"""The numbers that a figure shows, as columns of one length: texts or numbers, by the column's name."""


@dataclass(frozen=True)
class Picture:
    """A figure, and a description for readers who do not see it."""

    key: str
    """The name of its file, and its id on the page."""
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]
    names: tuple[str, ...] = ()
    """The names that the figure may shorten."""
    _: KW_ONLY
    data: Callable[[], Data]
    """The numbers that it shows, which a reader can save."""
    of_rows: bool = False
    """Whether it shows something of single rows, if only as points."""

    @property
    def tooltips(self) -> dict[str, str]:
        """The full names of the shortened ones, by the shortened form."""
        found: dict[str, str] = {}
        for length in LENGTHS:
            found |= {shorten(name, length): name for name in self.names if shorten(name, length) != name}
        return found


@dataclass(frozen=True)
class Table:
    """A table with a heading row; `numeric` tells which columns hold numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    note: str = ""
    of_rows: bool = False
    """Whether a text in it may have a value of a single row."""


@dataclass(frozen=True)
class Paint:
    """A piece of a text with its share of a score."""

    text: str
    share: str
    """The share in words, which a reader may ask for."""
    colour: str
    """The colour of its background, as CSS; empty for none."""


@dataclass(frozen=True)
class PaintedText:
    """A text in one paragraph, whose pieces are coloured by their shares."""

    title: str
    caption: str
    pieces: tuple[Paint, ...]
    _: KW_ONLY
    data: Callable[[], Data]
    """The pieces and their shares, which a reader can save."""


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str
    note: str = ""


Block = Picture | PaintedText | Table | Note | Heading


@dataclass(frozen=True)
class Section:
    """A section of the report, with an entry in the table of contents."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = field(default=())
    of_rows: bool = False
    """Whether all of it is about single rows."""

    @property
    def pictures(self) -> Sequence[Picture]:
        """The section's pictures."""
        return [block for block in self.blocks if isinstance(block, Picture)]

    @property
    def figures(self) -> Sequence[Picture | PaintedText]:
        """The section's pictures and coloured texts, whose numbers can be saved."""
        return [block for block in self.blocks if isinstance(block, Picture | PaintedText)]
