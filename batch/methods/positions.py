"""The positions of a row's shares: their names, and the axes of the inputs that they lie along."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import CELL, FEATURE, SEGMENT, STEP, shared_axes
from whyport.batch.methods.players import PlayerMap, is_length
from whyport.runtime.bundle.inputs import Axis, Input, TablePreparation
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.bundle.sidecar import Sidecar

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
    """The axes, the last one running fastest; where rows are of varying length, the first has the most steps."""
    place: int | None = None
    """Where the model's row holds the number of steps; null where all rows have as many."""

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

    @property
    def is_picture(self) -> bool:
        """Whether the shares lie over y and x."""
        return tuple(axis.name for axis in self.axes[:2]) == ("y", "x")

    @property
    def is_segmented(self) -> bool:
        """Whether the shares are those of a picture's segments, of which each row has its own."""
        return self.axes[0].name == SEGMENT

    @property
    def varies(self) -> bool:
        """Whether rows are of varying length, so that they lack the shares beyond their last step, or segment."""
        return self.place is not None or self.is_segmented


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
    def of(cls, sidecar: Sidecar, players: PlayerMap, per: str = CELL) -> Self:
        """The positions of a method's shares, before any are summed; `per` is what has them."""
        names = tuple(name for name in players.names if not is_length(sidecar, name))
        return cls(names, () if players.are_grouped else blocks_of(sidecar.inputs, per), per)

    @property
    def are_sums(self) -> bool:
        """Whether shares are sums of cells, which are written in float64."""
        return self.per in (FEATURE, STEP)

    @property
    def add_up(self) -> bool:
        """Whether shares add up to what a method's shares add up to."""
        return self.by == SUM

    @property
    def sequences(self) -> tuple[Block, ...]:
        """The inputs with steps."""
        return tuple(block for block in self.blocks if not (block.is_table or block.is_picture or block.is_segmented))

    @property
    def pictures(self) -> tuple[Block, ...]:
        """The inputs whose shares lie over y and x."""
        return tuple(block for block in self.blocks if block.is_picture)

    @property
    def varying(self) -> tuple[Block, ...]:
        """The inputs whose rows are of varying length."""
        return tuple(block for block in self.blocks if block.varies)

    @property
    def segmented(self) -> tuple[Block, ...]:
        """The inputs whose shares are those of segments."""
        return tuple(block for block in self.blocks if block.is_segmented)

    def steps_of(
        self, rows: NDArray[np.floating[Any]], segments: Mapping[str, NDArray[np.int64]] | None = None
    ) -> NDArray[np.int64]:
        """The numbers of steps, or of segments, of a model's rows [N, F] in the S inputs of varying length, [N, S].

        Args:
            rows: the rows.
            segments: the rows' numbers of segments, [N], of each input that has segments.
        """
        counts = segments or {}
        found = np.empty((len(rows), len(self.varying)), dtype=np.int64)
        for k, block in enumerate(self.varying):
            found[:, k] = counts[block.input] if block.place is None else rows[:, block.place]
        return found

    def within(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether rows with these numbers of steps [N, S] have each share, [N, G]."""
        found = np.ones((len(steps), len(self.names)), dtype=np.bool_)
        for block, own in zip(self.varying, steps.T, strict=True):
            step = np.arange(block.shape[0]).repeat(math.prod(block.shape[1:]))
            found[:, block.start : block.stop] = step < own[:, None]
        return found


def blocks_of(inputs: Sequence[Input], per: str = CELL) -> tuple[Block, ...]:
    """The shares of a model's inputs, one after the other; none where all are tables. `per` is what has them."""
    found: list[Block] = []
    places = {length.name: length.place for length in lengths_of(inputs)}
    for each in inputs:
        is_table = isinstance(each.prepare, TablePreparation)
        start = found[-1].stop if found else 0
        found.append(Block(each.name, is_table, start, shared_axes(each, per), places.get(each.name)))
    return () if all(block.is_table for block in found) else tuple(found)
