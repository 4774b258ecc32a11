"""Chunks of units, of which a thread describes the next one while the last one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from whyport.batch.methods.treeshap.chunk import Chunk
from whyport.batch.methods.treeshap.describe import describe
from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.units import Units, deepest

Described = tuple[Chunk, int, int]
"""A chunk, its number of units, and of the values of their tables."""


def described(forest: Forest, units: Units, splits: int, budget: int, pool: ThreadPoolExecutor) -> Iterator[Described]:
    """All units, chunk by chunk.

    Args:
        forest: the trees.
        units: the units.
        splits: the most splits of a unit.
        budget: the most values of a chunk's tables; 0 for units without tables.
        pool: the threads.
    """
    depth, count = deepest(forest), len(units.node)

    def chunk_from(start: int) -> Described:
        chunk = Chunk.empty(depth, splits, forest.value.shape[1])
        return chunk, *describe(forest, units.node[start:], units.splits[start:], budget, chunk)

    start, coming = 0, pool.submit(chunk_from, 0) if count else None
    while coming:
        chunk = coming.result()
        start += chunk[1]
        coming = pool.submit(chunk_from, start) if start < count else None
        yield chunk
