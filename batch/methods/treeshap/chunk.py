"""`Chunk`: some units of a forest, described for the kernels: what is compared, which bit it sets, who shares."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.compiled import compiler

compiled = compiler()

MOST_UNITS = 4096
"""The most units of a chunk."""

# A bit is set where the cell is ...
ABOVE, NOT_AT_MOST, AT_MOST, NOT_ABOVE = range(4)
"""... as named; NaN is neither above a number nor at most it."""


class Chunk(NamedTuple):
    """N units, described one after the other."""

    node: NDArray[np.int32]
    """[N]: the node at the top."""
    way: NDArray[np.int32]
    """[N]: the number of players tested on the way to the unit."""
    bits: NDArray[np.int32]
    """[N]: the bits of its index: whether each of these players leaves the way, and the side of each split, 1 right."""
    compared: NDArray[np.int32]
    """[N + 1]: where the comparisons of each unit begin."""
    cell: NDArray[np.int32]
    """The cell of each comparison."""
    threshold: NDArray[np.float32]
    form: NDArray[np.int8]
    """ABOVE, NOT_AT_MOST, AT_MOST or NOT_ABOVE."""
    bit: NDArray[np.int32]
    """The place of the bit that the comparison sets."""
    shared: NDArray[np.int32]
    """[N + 1]: where the players of each unit begin: those of the way in the order of their bits, then others."""
    player: NDArray[np.int32]
    own: NDArray[np.int32]
    """The number of the player's own table; -1 for one who is tested on the way alone."""
    ratio: NDArray[np.float64]
    """The share of the training rows that a player's tests on the way let through."""
    split_player: NDArray[np.int32]
    """[N, splits]: the place of each split's player among the unit's."""
    table: NDArray[np.int64]
    """[N, C]: where the unit's tables begin; -1 where none of its leaves adds to the raw score."""

    @classmethod
    def empty(cls, depth: int, bits: int, scores: int) -> "Chunk":
        """Room for units.

        Args:
            depth: the largest number of splits on the way to a leaf.
            bits: the most splits of a unit.
            scores: the number C of raw scores.
        """
        room = max(1 << 16, 4 * (2 * depth + bits))
        units = np.empty(MOST_UNITS, dtype=np.int32)
        starts, each = np.zeros(MOST_UNITS + 1, dtype=np.int32), np.empty(room, dtype=np.int32)
        return cls(
            node=units,
            way=units.copy(),
            bits=units.copy(),
            compared=starts,
            cell=each,
            threshold=np.empty(room, dtype=np.float32),
            form=np.empty(room, dtype=np.int8),
            bit=each.copy(),
            shared=starts.copy(),
            player=each.copy(),
            own=each.copy(),
            ratio=np.empty(room),
            split_player=np.empty((MOST_UNITS, max(bits, 1)), dtype=np.int32),
            table=np.empty((MOST_UNITS, scores), dtype=np.int64),
        )


@compiled
def patterns(chunk, unit, cells, first, made):  # type: ignore[no-untyped-def]
    """The index of each of N rows in a unit, into `made` [N].

    In loops over rows of contiguous cells and without a branch, which become vector instructions.

    Args:
        chunk: the units.
        unit: one of them.
        cells: the cells of all rows, [P, ...].
        first: the first of the N rows.
        made: where the indices are written.
    """
    one = np.empty(1, made.dtype)
    one[0] = 0
    zero = one[0]
    made[:] = 0
    for i in range(chunk.compared[unit], chunk.compared[unit + 1]):
        row = cells[chunk.cell[i]][first : first + len(made)]
        bound, form = chunk.threshold[i], chunk.form[i]
        one[0] = np.int64(1) << np.int64(chunk.bit[i])
        bit = one[0]
        if form == ABOVE:
            for k in range(len(made)):
                made[k] |= bit if row[k] > bound else zero
        elif form == NOT_AT_MOST:
            for k in range(len(made)):
                made[k] |= zero if row[k] <= bound else bit
        elif form == AT_MOST:
            for k in range(len(made)):
                made[k] |= bit if row[k] <= bound else zero
        else:
            for k in range(len(made)):
                made[k] |= zero if row[k] > bound else bit
