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
def describe(forest, nodes, splits, budget, chunk):  # type: ignore[no-untyped-def]
    """Describe as many units as there is room for; at least one.

    Args:
        forest: the trees.
        nodes: the tops of the units to come.
        splits: their numbers of splits.
        budget: the most values of all tables; 0 for units without tables.
        chunk: where they are described.

    Returns:
        the number of units, and of the values of their tables.
    """
    left, right = forest.left, forest.right
    of_cell = np.full(forest.cell.max() + 1, -1, np.int32)
    of_player = np.full(forest.player.max() + 1, -1, np.int32)
    scores = forest.value.shape[1]
    low = np.empty(len(of_cell), np.float32)
    high, missing = low.copy(), np.empty(len(of_cell), np.bool_)
    has_low, has_high = missing.copy(), missing.copy()
    used = np.empty(scores, np.bool_)
    stack = np.empty(chunk.split_player.shape[1] + 2, np.int32)
    made, taken = 0, 0
    room = len(chunk.cell) // 4
    while made < min(len(nodes), len(chunk.node)):
        compared, shared = chunk.compared[made], chunk.shared[made]
        if max(compared, shared) > len(chunk.cell) - room:
            break
        top = nodes[made]
        chunk.node[made] = top
        # The way: the bounds of each cell, and the players in the order in which they are met.
        cells, way, node = 0, 0, top
        while forest.parent[node] >= 0:
            above = forest.parent[node]
            own, cell, is_left = forest.player[above], forest.cell[above], left[above] == node
            if of_player[own] < 0:
                of_player[own] = way
                chunk.player[shared + way], chunk.own[shared + way], chunk.ratio[shared + way] = own, -1, 1.0
                way += 1
            if len(forest.ratio):
                chunk.ratio[shared + of_player[own]] *= forest.ratio[node]
            if of_cell[cell] < 0:
                of_cell[cell] = of_player[own]
                low[cell], high[cell], missing[cell] = -np.inf, np.inf, True
                has_low[cell], has_high[cell] = False, False
                chunk.cell[compared + cells] = cell
                cells += 1
            missing[cell] &= forest.missing_left[above] == is_left
            if is_left:
                high[cell], has_high[cell] = min(high[cell], forest.threshold[above]), True
            else:
                low[cell], has_low[cell] = max(low[cell], forest.threshold[above]), True
            node = above
        known = cells
        for i in range(known):
            cell = chunk.cell[compared + i]
            place = of_cell[cell]
            of_cell[cell] = -1
            chunk.bit[compared + i] = place
            if has_high[cell]:
                chunk.threshold[compared + i] = high[cell]
                chunk.form[compared + i] = ABOVE if missing[cell] else NOT_AT_MOST
            if has_low[cell]:
                at = compared + i
                if has_high[cell]:
                    at = compared + cells
                    cells += 1
                chunk.cell[at], chunk.bit[at], chunk.threshold[at] = cell, place, low[cell]
                chunk.form[at] = AT_MOST if missing[cell] else NOT_ABOVE
        # The splits inside, each before those below it, left before right.
        players, own_tables, inside = way, 0, 0
        used[:] = False
        stack[0], depth = top, 0
        while depth >= 0:
            node = stack[depth]
            depth -= 1
            if left[node] < 0:
                for c in range(scores):
                    used[c] |= forest.value[node, c] != 0.0
                continue
            own, at = forest.player[node], compared + cells
            if of_player[own] < 0:
                of_player[own] = players
                chunk.player[shared + players], chunk.own[shared + players] = own, -1
                players += 1
            place = of_player[own]
            if chunk.own[shared + place] < 0:
                chunk.own[shared + place] = own_tables
                own_tables += 1
            chunk.cell[at], chunk.threshold[at] = forest.cell[node], forest.threshold[node]
            chunk.bit[at], chunk.form[at] = way + inside, ABOVE if forest.missing_left[node] else NOT_AT_MOST
            chunk.split_player[made, inside] = place
            cells += 1
            inside += 1
            stack[depth + 1], stack[depth + 2] = right[node], left[node]
            depth += 2
        for i in range(players):
            of_player[chunk.player[shared + i]] = -1
        bits = way + splits[made]
        values = 0
        if budget:
            values = (2 + own_tables) << bits
            if made and taken + values * used.sum() > budget:
                break
        for c in range(scores):
            chunk.table[made, c] = -1
            if used[c]:
                chunk.table[made, c] = taken
                taken += values
        chunk.way[made], chunk.bits[made] = way, bits
        chunk.compared[made + 1], chunk.shared[made + 1] = compared + cells, shared + players
        made += 1
    return made, taken


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
