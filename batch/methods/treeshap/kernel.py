"""`Kernel`: the shares of rows in a forest's raw scores, unit after unit, on several threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.treeshap.chunk import Chunk, describe
from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.lookup import look_up
from whyport.batch.methods.treeshap.measure import Measure
from whyport.batch.methods.treeshap.tables import build
from whyport.batch.methods.treeshap.units import Units, cut, deepest
from whyport.batch.methods.treeshap.wide import PATTERN_PLAYERS, explain_leaves, explain_widest
from whyport.runtime.batching import batch_slices

BLOCK_ROWS = 512
"""Rows that pass over the tables together: their cells and shares stay in the nearest caches."""

PATTERN_ROWS = 4096
"""Rows whose distinct patterns are found together."""

TABLE_VALUES = 1 << 18
"""Values of the tables that are held at once, which fit the second cache."""

SIZES = ((64, 4, 5), (256, 6, 9), (1024, 8, 12), (4096, 10, 14), (1 << 62, 10, 14))
"""Up to how many rows the units have how many bits, and leaves beyond them a table up to how many players.

Large tables cost much to build and little to use.
"""

Explain = Callable[..., None]


Block = tuple[int, int, int]
"""Rows from the first to the one behind the last, and the raw score that they are explained for."""


@dataclass(frozen=True)
class Kernel:
    """Computes shares against one measure."""

    forest: Forest
    measure: Measure
    players: int
    """The number G of players, of whom the forest need not test every one."""
    threads: int
    memory: int
    """Bytes for the tables; one unit's always fit."""

    def shares(self, cells: NDArray[np.float32], blocks: Sequence[Block]) -> NDArray[np.float64]:
        """The shares of every player, [G, N], of value 1.

        Args:
            cells: the cells of the rows, [P, N].
            blocks: all of the rows, each in one block.
        """
        rows = cells.shape[1]
        shares = np.zeros((self.players, rows))
        bits, few_bits = self._bits(rows)
        units = cut(self.forest, bits)
        by_tables = units.bits <= bits
        if len(self.forest.ratio):  # every row has a share of every leaf
            by_tables |= units.players <= few_bits
        widest = ~by_tables & (units.players > PATTERN_PLAYERS)
        with ThreadPoolExecutor(self.threads) as pool:

            def on_all(explain: Explain, given: tuple[object, ...], block_rows: int) -> None:
                """Explain every block, each thread a run of them."""
                small = list(_split(blocks, block_rows))

                def run(part: slice) -> None:
                    for block in small[part]:
                        explain(*given, cells, block, shares)

                for _ in pool.map(run, batch_slices(len(small), -(-len(small) // self.threads))):
                    pass

            for built in self._built(units.only(by_tables), max(bits, 1), pool):
                on_all(look_up, built, BLOCK_ROWS)
            for chosen, of_leaves in ((~(by_tables | widest), explain_leaves), (widest, explain_widest)):
                for chunk, count, _ in self._described(units.only(chosen), 1, 0):
                    on_all(of_leaves, (self.forest, self.measure, chunk, count), PATTERN_ROWS)
        return shares

    def _bits(self, rows: int) -> tuple[int, int]:
        """The most bits of a unit, and the most players of a leaf with a table, for that many rows."""
        bits, few_bits = next(sizes for most, *sizes in SIZES if rows <= most)
        scores = self.forest.value.shape[1]
        while bits > 1 and 8 * scores * (bits + 2) << bits > self.memory:
            bits -= 1
        while few_bits > 1 and 16 * scores << few_bits > self.memory:
            few_bits -= 1
        return bits, max(bits, few_bits)

    def _built(
        self, units: Units, splits: int, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Chunk, int, NDArray[np.float64]]]:
        """The chunks of units, with their numbers of units and their tables."""
        tables = np.empty(0)
        for chunk, count, values in self._described(units, splits, min(TABLE_VALUES, max(1, self.memory // 8))):
            if values > len(tables):
                tables = np.empty(values)
            # Threads take units by turns: neighbours are alike in size.
            parts = batch_slices(count, max(1, -(-count // (4 * self.threads))))
            made = pool.map(
                lambda part: build(self.forest, self.measure, chunk, part.start, part.stop, tables),  # noqa: B023
                parts,
            )
            for _ in made:
                pass
            yield chunk, count, tables

    def _described(self, units: Units, splits: int, budget: int) -> Iterator[tuple[Chunk, int, int]]:
        """The chunks of units, with their numbers of units and of the tables' values."""
        chunk = Chunk.empty(self._depth, splits, self.forest.value.shape[1])
        start = 0
        while start < len(units.node):
            count, values = describe(self.forest, units.node[start:], units.splits[start:], budget, chunk)
            yield chunk, count, values
            start += count

    @cached_property
    def _depth(self) -> int:
        return deepest(self.forest)


def _split(blocks: Sequence[Block], rows: int) -> Iterator[Block]:
    """The same rows in blocks of at most so many."""
    for first, stop, score in blocks:
        for part in batch_slices(stop - first, rows):
            yield first + part.start, first + part.stop, score
