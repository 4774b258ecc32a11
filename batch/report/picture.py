"""What a report is made of: sections of pictures and tables, with what they say in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from whyport.batch.report.figures.canvas import LENGTHS, shorten


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows for those who do not see it."""

    key: str
    """Names its file, and its place on the page."""
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]
    names: tuple[str, ...] = ()
    """The names that it may show shortened."""

    @property
    def tooltips(self) -> dict[str, str]:
        """The full names by the shortened ones, those that differ."""
        found: dict[str, str] = {}
        for length in LENGTHS:
            found |= {shorten(name, length): name for name in self.names if shorten(name, length) != name}
        return found


@dataclass(frozen=True)
class Table:
    """A table with a heading row; the columns at these places hold numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Heading:
    """Begins a part of a section."""

    text: str
    note: str = ""


Block = Picture | Table | Note | Heading


@dataclass(frozen=True)
class Section:
    """A part of the report, which the table of contents names."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = field(default=())

    @property
    def pictures(self) -> Sequence[Picture]:
        """Its figures."""
        return [block for block in self.blocks if isinstance(block, Picture)]
