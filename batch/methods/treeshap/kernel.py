"""`Kernel`: the shares of rows in a forest's raw scores, unit after unit, on several threads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.treeshap.chunk import Chunk
from whyport.batch.methods.treeshap.described import Described, described
from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.lookup import look_up
from whyport.batch.methods.treeshap.measure import Measure
from whyport.batch.methods.treeshap.tables import build
from whyport.batch.methods.treeshap.units import cut
from whyport.batch.methods.treeshap.wide import PATTERN_PLAYERS, explain_leaves, explain_widest
from whyport.runtime.batching import batch_slices

BLOCK_ROWS = 512
"""Rows that pass over the tables together: their cells and shares stay in the nearest caches."""

PATTERN_ROWS = 4096
"""Rows whose distinct patterns are found together."""

LEAVES = 256
"""Leaves without tables whose shares are summed together."""

TABLE_VALUES = 1 << 18
"""Values of the tables that rows pass over at once, which fit the second cache."""

SIZES = ((64, 4, 5), (256, 6, 9), (1024, 8, 12), (4096, 10, 14), (1 << 62, 10, 14))
"""Up to how many rows the units have how many bits, and leaves beyond them a table up to how many players.

Large tables cost much to build and little to use.
"""

Block = tuple[int, int, int]
"""Rows from the first to the one behind the last, and the raw score that they are explained for."""


@dataclass(frozen=True)
class Kernel:
    """Computes shares against one measure.

    Every share is a sum in the same order whatever the number of threads, so that the results are the same bits.
    """

    forest: Forest
    measure: Measure
    players: int
    """The number G of players, of whom the forest need not test every one."""
    threads: int
    memory: int
    """Bytes for tables and partial sums; one unit's and one row's always fit."""

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
            chunks = described(self.forest, units.only(by_tables), max(bits, 1), self._values, pool)
            self._add_units(chunks, cells, blocks, shares, pool)
            for chosen, explain in ((~(by_tables | widest), explain_leaves), (widest, explain_widest)):
                chunks = described(self.forest, units.only(chosen), 1, 0, pool)
                self._add_leaves(explain, chunks, cells, blocks, shares, pool)
        return shares

    def _add_units(
        self,
        chunks: Iterator[Described],
        cells: NDArray[np.float32],
        blocks: Sequence[Block],
        shares: NDArray[np.float64],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Add what the rows have of units with tables; a chunk's are built while rows pass over those of the last.

        Each unit's tables are built by one thread, and each row passes over all units in their order.
        """
        small = list(_split(blocks, min(BLOCK_ROWS, -(-cells.shape[1] // self.threads))))

        def pass_over(chunk: Chunk, units: int, tables: NDArray[np.float64], some: slice) -> None:
            for block in small[some]:
                look_up(chunk, units, tables, cells, block, shares)

        passing: list[Future[None]] = []
        for chunk, units, values in chunks:
            tables = np.empty(values)
            building = [
                pool.submit(build, self.forest, self.measure, chunk, part.start, part.stop, tables)
                for part in self._parts(units)
            ]
            _await([*passing, *building])
            passing = [pool.submit(pass_over, chunk, units, tables, part) for part in self._parts(len(small))]
        _await(passing)

    def _add_leaves(
        self,
        explain: Callable[..., None],
        chunks: Iterator[Described],
        cells: NDArray[np.float32],
        blocks: Sequence[Block],
        shares: NDArray[np.float64],
        pool: ThreadPoolExecutor,
    ) -> None:
        """Add what the rows have of leaves without tables: sums over some of them, added up in the leaves' order."""
        row_bytes = 8 * self.players
        large = list(_split(blocks, max(1, min(PATTERN_ROWS, self.memory // (2 * row_bytes)))))
        most = max((stop - first for first, stop, _ in large), default=1)
        at_once = max(1, min(2 * self.threads, self.memory // (row_bytes * most)))

        def sums(chunk: Chunk, leaves: slice, block: Block) -> NDArray[np.float64]:
            made = np.zeros((self.players, block[1] - block[0]))
            explain(self.forest, self.measure, chunk, (leaves.start, leaves.stop), cells, block, made)
            return made

        summing: deque[tuple[Block, Future[NDArray[np.float64]]]] = deque()

        def add_oldest() -> None:
            (first, stop, _), task = summing.popleft()
            shares[:, first:stop] += task.result()

        for chunk, count, _ in chunks:
            for leaves, block in product(batch_slices(count, LEAVES), large):
                if not self.forest.value[chunk.node[leaves], block[2]].any():
                    continue
                if len(summing) == at_once:
                    add_oldest()
                summing.append((block, pool.submit(sums, chunk, leaves, block)))
        while summing:
            add_oldest()

    def _parts(self, count: int) -> Iterator[slice]:
        """Parts of a work for the threads, which take them by turns."""
        return batch_slices(count, max(1, -(-count // (4 * self.threads))))

    @property
    def _values(self) -> int:
        """The most values of a chunk's tables, of two chunks at once."""
        return min(TABLE_VALUES, max(1, self.memory // 16))

    def _bits(self, rows: int) -> tuple[int, int]:
        """The most bits of a unit, and the most players of a leaf with a table, for that many rows."""
        bits, few_bits = next(sizes for most, *sizes in SIZES if rows <= most)
        scores = self.forest.value.shape[1]
        while bits > 1 and 16 * scores * (bits + 2) << bits > self.memory:
            bits -= 1
        while few_bits > 1 and 32 * scores << few_bits > self.memory:
            few_bits -= 1
        return bits, max(bits, few_bits)


def _await(tasks: Sequence[Future[None]]) -> None:
    """Wait once for all tasks, so that this thread does not take the interpreter's lock after each; raise errors."""
    wait(tasks)
    for task in tasks:
        task.result()


def _split(blocks: Sequence[Block], rows: int) -> Iterator[Block]:
    """The same rows in blocks of at most so many."""
    for first, stop, score in blocks:
        for part in batch_slices(stop - first, rows):
            yield first + part.start, first + part.stop, score
