"""Sums of a sequence's cells: the shares of its features, or of its steps."""

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import FEATURE, STEP
from whyport.batch.methods.players import Groups, PlayerMap, is_length
from whyport.batch.methods.positions import ABS, Block, Positions
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import UsageError, listing

KEPT = {FEATURE: "feature", STEP: "time"}
"""The axis that is left by what a share is per."""


@dataclass(frozen=True)
class Reduction:
    """The shares of a run, from the cells' shares that a method gives."""

    cells: Positions
    per: str
    by: str
    """"sum", or "abs" for sums of magnitudes."""
    kept: tuple[int, ...] | None = None
    """The players whose shares are kept: all but numbers of steps. None for all of them."""

    @classmethod
    def of(cls, sidecar: Sidecar, groups: Groups, per: str, by: str) -> Self:
        """The shares of a run with a bundle.

        Args:
            sidecar: the bundle's sidecar.
            groups: the columns of each group that shares one value.
            per: what has a share, one of PER but "auto".
            by: the way that cells become one.

        Raises:
            UsageError: the groups are wrong, or there are no cells to sum up.
        """
        players = PlayerMap.of(sidecar, groups, per)
        cells = Positions.of(sidecar, players, per)
        if per in KEPT and not cells.blocks:
            raise UsageError(f"per: expected the cells of a sequence for {per!r}, got groups of columns or a table")
        kept = tuple(i for i, name in enumerate(players.names) if not is_length(sidecar, name))
        return cls(cells, per, by, None if len(kept) == len(players) else kept)

    @cached_property
    def positions(self) -> Positions:
        """The positions of the run's shares: the labels of the axis that is left, or `<input>[t]` where it has none.

        A label is `<input>.<label>` where another share has it too. Raises UsageError where that helps nothing.
        """
        if self.per not in KEPT:
            return self.cells
        names: list[str] = []
        blocks: list[Block] = []
        named = [(block, self._axes(block)) for block in self.cells.blocks]
        count = Counter(name for block, axes in named for name in self._names(block, axes))
        for block, axes in named:
            has_steps = axes[0] == block.axes[0]
            placed = dataclasses.replace(block, start=len(names), axes=axes, place=block.place if has_steps else None)
            blocks.append(placed)
            found = self._names(block, axes)
            names += [f"{block.input}.{name}" if count[name] > 1 and not block.is_table else name for name in found]
        repeated = [name for name, times in Counter(names).items() if times > 1]
        if repeated:
            raise UsageError(f"per: expected names that differ for the shares per {self.per}, got {listing(repeated)}")
        return Positions(tuple(names), tuple(blocks), self.per, self.by)

    def reduced(self, attribution: Attribution) -> Attribution:
        """An explanation of cells as one of what the run has shares of.

        Its error stays that of the cells. A standard error becomes the sum of the cells' own, which is the most that
        the error of a sum, or of a sum of magnitudes, can be.
        """
        if self.per not in KEPT and self.kept is None:
            return attribution
        players = attribution.values.shape[1]
        extras = {
            name: self._reduced(values) if values.shape[1:] == (players,) else values
            for name, values in attribution.extras.items()
        }
        return dataclasses.replace(attribution, values=self._reduced(attribution.values), extras=extras)

    def _reduced(self, values: NDArray[Any]) -> NDArray[Any]:
        """The shares [N, G] from the values of a method's players."""
        kept = values if self.kept is None else values[:, list(self.kept)]
        return self.sums(kept) if self.per in KEPT else kept

    @cached_property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """The cells that each share is the sum of."""
        found: list[tuple[int, ...]] = []
        for block in self.cells.blocks:
            left = self._axes(block)
            kept = [i for i, axis in enumerate(block.axes) if axis in left]
            cells = np.moveaxis(block.of(np.arange(block.stop)), kept, range(len(kept)))
            shares = math.prod(cells.shape[: len(kept)])
            found += [tuple(own) for own in cells.reshape(shares, -1).tolist()]
        return tuple(found)

    def sums(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sums [N, G] of values [N, cells], or of their magnitudes, in float64; a table's stay as they are."""
        parts = []
        for block in self.cells.blocks:
            left = self._axes(block)
            gone = tuple(1 + i for i, axis in enumerate(block.axes) if axis not in left)
            cells = block.of(values).astype(np.float64)
            cells = np.abs(cells) if self.by == ABS and gone else cells
            parts.append(cells.sum(axis=gone).reshape(len(values), -1))
        return np.concatenate(parts, axis=1)

    def _axes(self, block: Block) -> tuple[Axis, ...]:
        """The axes that are left of an input; all of them where it lacks the one that is kept."""
        kept = tuple(axis for axis in block.axes if axis.name == KEPT.get(self.per))
        return block.axes if block.is_table or not kept else kept

    def _names(self, block: Block, axes: tuple[Axis, ...]) -> tuple[str, ...]:
        if axes == block.axes:
            return self.cells.names[block.start : block.stop]
        (axis,) = axes
        return axis.labels or tuple(f"{block.input}[{i}]" for i in range(int(axis.length)))
