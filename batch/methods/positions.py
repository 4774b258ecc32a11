"""The positions of a row's shares: their names, and the axes of the inputs that they lie along."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from whyport.batch.methods.players import PlayerMap
from whyport.runtime.bundle.inputs import Axis, Input, TablePreparation
from whyport.runtime.bundle.sidecar import Sidecar

CELL, FEATURE, STEP = PER = "cell", "feature", "step"
"""What has a share: an element of a sequence, a feature over all steps, or a step over all features."""
SUM, ABS = REDUCTIONS = "sum", "abs"
"""How the shares of cells become one: their sum, or the sum of their magnitudes."""


@dataclass(frozen=True)
class Block:
    """The shares of one input: consecutive positions, which lie along its axes."""

    input: str
    """The name of the input."""
    is_table: bool
    """Whether each share is a column's; no axis of a table is ever summed over."""
    start: int
    """The first position."""
    axes: tuple[Axis, ...]
    """The axes of fixed length, the last one running fastest."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(int(axis.length) for axis in self.axes)

    @property
    def stop(self) -> int:
        """The position after the last one."""
        return self.start + math.prod(self.shape)

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The shares of this input, [..., *shape], of all shares [..., G]."""
        return values[..., self.start : self.stop].reshape(*values.shape[:-1], *self.shape)


@dataclass(frozen=True)
class Positions:
    """The G positions of a row's shares."""

    names: tuple[str, ...]
    """[G]: the name of each share."""
    blocks: tuple[Block, ...] = ()
    """The inputs of a model with sequences; empty for a model of tables, and where groups of columns share a value."""
    per: str = CELL
    by: str = SUM

    @classmethod
    def of(cls, sidecar: Sidecar, players: PlayerMap) -> Self:
        """The positions of a method's shares, before any are summed."""
        has_cells = players.names == sidecar.feature_names
        return cls(players.names, _blocks(sidecar.inputs) if has_cells else ())

    @property
    def are_sums(self) -> bool:
        """Whether shares are sums of cells, which are written in float64."""
        return self.per != CELL

    @property
    def add_up(self) -> bool:
        """Whether shares add up to what a method's shares add up to."""
        return self.by == SUM

    @property
    def sequences(self) -> tuple[Block, ...]:
        """The inputs that are no tables."""
        return tuple(block for block in self.blocks if not block.is_table)


def _blocks(inputs: Sequence[Input]) -> tuple[Block, ...]:
    """The inputs of a model, one after the other; none where all are tables."""
    found: list[Block] = []
    for each in inputs:
        is_table = isinstance(each.prepare, TablePreparation)
        found.append(Block(each.name, is_table, found[-1].stop if found else 0, each.axes))
    return () if all(block.is_table for block in found) else tuple(found)
