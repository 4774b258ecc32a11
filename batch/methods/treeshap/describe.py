"""`describe`: units of a forest, described one after the other for the kernels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.chunk import ABOVE, AT_MOST, NOT_ABOVE, NOT_AT_MOST

compiled = compiler()


class _Notes(NamedTuple):
    """The scratch memory of one unit while it is described; clean again behind it."""

    of_cell: NDArray[np.int32]
    """[P]: the place of the player who owns a cell that the way tests; -1 for other cells."""
    of_player: NDArray[np.int32]
    """[G]: the place of a player among the unit's; -1 for others."""
    low: NDArray[np.float32]
    """[P]: a cell is above it on the way."""
    high: NDArray[np.float32]
    """[P]: a cell is at most it on the way."""
    has_low: NDArray[np.bool_]
    has_high: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    """[P]: whether NaN takes the way at every test of a cell."""
    stack: NDArray[np.int32]
    """Nodes inside the unit that are still to be seen."""
    used: NDArray[np.bool_]
    """[C]: whether any leaf of the unit adds to a raw score."""


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
    notes = _clean_notes(forest, chunk)
    made, taken = 0, 0
    room = len(chunk.cell) // 4
    while made < min(len(nodes), len(chunk.node)):
        compared, shared = chunk.compared[made], chunk.shared[made]
        if max(compared, shared) > len(chunk.cell) - room:
            break
        chunk.node[made] = nodes[made]
        known, way = _walk_up(forest, nodes[made], notes, chunk, made)
        on_way = _compare_way(known, notes, chunk, compared)
        players, own_tables = _walk_down(forest, way, on_way, notes, chunk, made)
        bits = way + splits[made]
        values = (2 + own_tables) << bits if budget else 0
        if made and budget and taken + values * notes.used.sum() > budget:
            break
        for c in range(len(notes.used)):
            chunk.table[made, c] = -1
            if notes.used[c]:
                chunk.table[made, c] = taken
                taken += values
        chunk.way[made], chunk.bits[made] = way, bits
        chunk.compared[made + 1], chunk.shared[made + 1] = compared + on_way + splits[made], shared + players
        made += 1
    return made, taken


@compiled
def _clean_notes(forest, chunk):  # type: ignore[no-untyped-def]
    cells = forest.cell.max() + 1
    return _Notes(
        np.full(cells, -1, np.int32),
        np.full(forest.player.max() + 1, -1, np.int32),
        np.empty(cells, np.float32),
        np.empty(cells, np.float32),
        np.empty(cells, np.bool_),
        np.empty(cells, np.bool_),
        np.empty(cells, np.bool_),
        np.empty(chunk.split_player.shape[1] + 2, np.int32),
        np.empty(forest.value.shape[1], np.bool_),
    )


@compiled
def _walk_up(forest, top, notes, chunk, unit):  # type: ignore[no-untyped-def]
    """Note the bounds of each cell on the way to a unit, and its players in the order in which they are met.

    Returns:
        the numbers of cells and of players.
    """
    compared, shared = chunk.compared[unit], chunk.shared[unit]
    cells, way, node = 0, 0, top
    while forest.parent[node] >= 0:
        above = forest.parent[node]
        own, cell, is_left = forest.player[above], forest.cell[above], forest.left[above] == node
        if notes.of_player[own] < 0:
            notes.of_player[own] = way
            chunk.player[shared + way], chunk.own[shared + way], chunk.ratio[shared + way] = own, -1, 1.0
            way += 1
        if len(forest.ratio):
            chunk.ratio[shared + notes.of_player[own]] *= forest.ratio[node]
        if notes.of_cell[cell] < 0:
            notes.of_cell[cell] = notes.of_player[own]
            notes.low[cell], notes.high[cell], notes.missing[cell] = -np.inf, np.inf, True
            notes.has_low[cell], notes.has_high[cell] = False, False
            chunk.cell[compared + cells] = cell
            cells += 1
        notes.missing[cell] &= forest.missing_left[above] == is_left
        if is_left:
            notes.high[cell], notes.has_high[cell] = min(notes.high[cell], forest.threshold[above]), True
        else:
            notes.low[cell], notes.has_low[cell] = max(notes.low[cell], forest.threshold[above]), True
        node = above
    return cells, way


@compiled
def _compare_way(known, notes, chunk, compared):  # type: ignore[no-untyped-def]
    """Describe the bounds of each cell on the way: a bit is set where one is broken.

    Args:
        known: the number of cells on the way, which the chunk names.
        notes: their bounds.
        chunk: where the comparisons are described.
        compared: the first of them.

    Returns:
        the number of comparisons.
    """
    made = known
    for i in range(known):
        cell = chunk.cell[compared + i]
        place = notes.of_cell[cell]
        notes.of_cell[cell] = -1
        chunk.bit[compared + i] = place
        if notes.has_high[cell]:
            chunk.threshold[compared + i] = notes.high[cell]
            chunk.form[compared + i] = ABOVE if notes.missing[cell] else NOT_AT_MOST
        if notes.has_low[cell]:
            at = compared + i
            if notes.has_high[cell]:
                at = compared + made
                made += 1
            chunk.cell[at], chunk.bit[at], chunk.threshold[at] = cell, place, notes.low[cell]
            chunk.form[at] = AT_MOST if notes.missing[cell] else NOT_ABOVE
    return made


@compiled
def _walk_down(forest, way, on_way, notes, chunk, unit):  # type: ignore[no-untyped-def]
    """Describe the splits inside a unit, each before those below it, left before right.

    Args:
        forest: the trees.
        way: the number of players tested on the way.
        on_way: the number of comparisons on the way.
        notes: the places of the players, which are forgotten; the raw scores that the leaves add to.
        chunk: where the splits are described.
        unit: the unit's place in it.

    Returns:
        the number of the unit's players, and of those who have tables of their own.
    """
    shared, at = chunk.shared[unit], chunk.compared[unit] + on_way
    stack, of_player = notes.stack, notes.of_player
    players, own_tables, inside = way, 0, 0
    notes.used[:] = False
    stack[0], depth = chunk.node[unit], 0
    while depth >= 0:
        node = stack[depth]
        depth -= 1
        if forest.left[node] < 0:
            for c in range(len(notes.used)):
                notes.used[c] |= forest.value[node, c] != 0.0
            continue
        own = forest.player[node]
        if of_player[own] < 0:
            of_player[own] = players
            chunk.player[shared + players], chunk.own[shared + players] = own, -1
            players += 1
        place = of_player[own]
        if chunk.own[shared + place] < 0:
            chunk.own[shared + place] = own_tables
            own_tables += 1
        chunk.cell[at + inside], chunk.threshold[at + inside] = forest.cell[node], forest.threshold[node]
        chunk.form[at + inside] = ABOVE if forest.missing_left[node] else NOT_AT_MOST
        chunk.bit[at + inside], chunk.split_player[unit, inside] = way + inside, place
        inside += 1
        stack[depth + 1], stack[depth + 2] = forest.right[node], forest.left[node]
        depth += 2
    for i in range(players):
        of_player[chunk.player[shared + i]] = -1
    return players, own_tables
