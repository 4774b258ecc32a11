"""One side of a comparison, counted: the tallies of its variables, and the values of rows that are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.compare.tally import CategoryTally, Tally
from whyport.batch.compare.variables import Block, Chunk, Group, Variable
from whyport.batch.report.gather.collect import SmallestKeys


@dataclass(frozen=True)
class Draw:
    """How many rows are drawn."""

    limit: int
    below: float = 1.0
    """Rows with a larger key are not offered: far more have a smaller one than are drawn."""


@dataclass
class DrawnRows:
    """The rows that are drawn, in the order of their keys."""

    keys: NDArray[np.float64]
    """[n]"""
    values: NDArray[np.float32]
    """[n, V]: the values of a block's variables."""
    places: dict[Variable, int] = field(default_factory=dict)
    """The place of each variable."""


class Summary:
    """The counts of one side.

    Args:
        edges: the edges between which the values of each variable of numbers are counted.
        draw: how many rows are drawn.
    """

    def __init__(self, edges: Mapping[Variable, NDArray[np.float32]], draw: Draw) -> None:
        self._edges, self._draw = edges, draw
        self.numbers: dict[Variable, Tally] = {}
        self.categories: dict[Variable, CategoryTally] = {}
        self._drawn: dict[Block, SmallestKeys] = {}
        self.rows: dict[Group, int] = {}
        """The number of explained rows."""

    def empty(self) -> "Summary":
        """A summary with the same settings, of nothing."""
        return Summary(self._edges, self._draw)

    def add(self, chunk: Chunk) -> None:
        """Count some rows."""
        for variable, values in chunk.numbers.items():
            self._tally(variable).add(values)
        for variable, array in chunk.categories.items():
            self.categories.setdefault(variable, CategoryTally()).add(array)
        for group, rows in chunk.rows.items():
            self.rows[group] = self.rows.get(group, 0) + rows
        for block, keys in chunk.keys.items():
            chosen = np.flatnonzero(keys < self._draw.below)
            values = np.stack([chunk.numbers[variable][chosen] for variable in block], axis=1)
            self._offer(block, {"key": keys[chosen], "values": values})

    def merge(self, other: "Summary") -> None:
        """Take the counts of another summary with the same settings."""
        for variable, tally in other.numbers.items():
            self._tally(variable).merge(tally)
        for variable, counted in other.categories.items():
            self.categories.setdefault(variable, CategoryTally()).merge(counted)
        for group, rows in other.rows.items():
            self.rows[group] = self.rows.get(group, 0) + rows
        for block, drawn in other._drawn.items():
            if held := drawn.rows():
                self._offer(block, held)

    def drawn(self) -> dict[Variable, DrawnRows]:
        """The rows that are drawn, by variable; those of one block are the same object."""
        found: dict[Variable, DrawnRows] = {}
        for block, keys in self._drawn.items():
            if rows := keys.rows():
                own = DrawnRows(rows["key"], rows["values"], {variable: i for i, variable in enumerate(block)})
                found |= dict.fromkeys(block, own)
        return found

    def _tally(self, variable: Variable) -> Tally:
        if variable not in self.numbers:
            self.numbers[variable] = Tally(self._edges[variable])
        return self.numbers[variable]

    def _offer(self, block: Block, rows: dict[str, NDArray[Any]]) -> None:
        if block not in self._drawn:
            self._drawn[block] = SmallestKeys(self._draw.limit)
        self._drawn[block].offer(rows["key"], rows)
