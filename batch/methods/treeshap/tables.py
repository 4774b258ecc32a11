"""The tables of units: for every way a row can pass, what each player has of the leaves below."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.chunk import patterns
from whyport.batch.methods.treeshap.leaf_tables import by_cover, by_references

compiled = compiler("contract", "nsz")


class _Leaf(NamedTuple):
    """The players of one leaf of a unit, up to its number of bits, and which of them a row's bits fail."""

    members: NDArray[np.int32]
    """The place of each player among the unit's."""
    own: NDArray[np.int32]
    """The number of each player's own table; -1 for one who is tested on the way alone."""
    ratio: NDArray[np.float64]
    """The share of the training rows that each player's tests let through."""
    of_bit: NDArray[np.int32]
    """The player of each bit; -1 where the bit does not matter to the leaf."""
    side: NDArray[np.int8]
    """The bit's value with which the player fails."""


@compiled
def build(forest, measure, chunk, first, stop, tables):  # type: ignore[no-untyped-def]
    """Fill the tables of some units of a chunk.

    Of each raw score, a unit has two tables for the players tested on the way alone, A and E summed over its leaves: a
    player with bit i has A[p] - E[p | i] at index p. Every other player has a table of its own.

    Args:
        forest: the trees.
        measure: the references.
        chunk: the units.
        first: the first of them.
        stop: the one behind the last.
        tables: the tables of the chunk, side by side.
    """
    most = 0
    for unit in range(first, stop):
        most = max(most, chunk.bits[unit])
    size = 1 << most
    places = np.empty(measure.cells.shape[1], np.int32)
    mass, found, masses = np.zeros(size), np.empty(len(places), np.int64), np.empty(len(places))
    above, with_player, fails = np.empty(size), np.empty(size), np.empty(size, np.int32)
    leaf = _Leaf(
        np.empty(most + 1, np.int32),
        np.empty(most + 1, np.int32),
        np.empty(most + 1),
        np.empty(most + 1, np.int32),
        np.empty(most + 1, np.int8),
    )
    room = chunk.split_player.shape[1] + 2
    way, stage, position = np.empty(room, np.int32), np.empty(room, np.int8), np.empty(room, np.int32)
    on_training_rows = len(forest.ratio) > 0
    for unit in range(first, stop):
        bits = chunk.bits[unit]
        size = 1 << bits
        distinct = 0 if on_training_rows else _distinct(chunk, unit, measure, places, mass, found, masses)
        for c in range(chunk.table.shape[1]):
            if chunk.table[unit, c] >= 0:
                tables[chunk.table[unit, c] : chunk.table[unit, c] + _tables_of(chunk, unit) * size] = 0.0
        # Every leaf, by the way to it: the splits, and the side taken of each.
        top, splits = 0, 0
        way[0], stage[0] = chunk.node[unit], 0
        while top >= 0:
            node = way[top]
            if forest.left[node] < 0:
                players = _members(forest, chunk, unit, way[: top + 1], stage, position, leaf)
                _map(leaf.of_bit[:bits], leaf.side, fails)
                if on_training_rows:
                    by_cover(leaf.ratio[:players], measure, above, with_player)
                else:
                    by_references(found[:distinct], masses, players, fails, measure, mass, above, with_player)
                for c in range(chunk.table.shape[1]):
                    if forest.value[node, c] != 0.0:
                        at = chunk.table[unit, c]
                        _add(forest.value[node, c], leaf.own[:players], fails[:size], above, with_player, tables[at:])
                top -= 1
                continue
            if stage[top] == 2:
                top -= 1
                continue
            if stage[top] == 0:
                position[top] = splits
                splits += 1
            way[top + 1] = forest.left[node] if stage[top] == 0 else forest.right[node]
            stage[top] += 1
            stage[top + 1] = 0
            top += 1


@compiled
def _distinct(chunk, unit, measure, places, mass, found, masses):  # type: ignore[no-untyped-def]
    """The distinct indices of the references in a unit.

    Args:
        chunk: the units.
        unit: one of them.
        measure: the references.
        places: room for the index of each.
        mass: zeros, by index; left as zeros.
        found: where the distinct indices are written.
        masses: where the weight of each is.

    Returns:
        their number.
    """
    patterns(chunk, unit, measure.cells, 0, places)
    for r in range(len(places)):
        mass[places[r]] += measure.weights[r]
    distinct = 0
    for r in range(len(places)):
        if mass[places[r]] > 0.0:
            found[distinct], masses[distinct] = places[r], mass[places[r]]
            mass[places[r]] = 0.0
            distinct += 1
    return distinct


@compiled
def _members(forest, chunk, unit, way, stage, position, leaf):  # type: ignore[no-untyped-def]
    """The players of a leaf, into `leaf`: those tested on the way to the unit, then others as they are met.

    Args:
        forest: the trees.
        chunk: the units.
        unit: the leaf's.
        way: the nodes from the unit's top to the leaf.
        stage: 1 where the way goes left, 2 where it goes right.
        position: the number of each node's split among the unit's.
        leaf: where they are written.

    Returns:
        their number.
    """
    shared, on_way = chunk.shared[unit], chunk.way[unit]
    for j in range(on_way):
        leaf.members[j], leaf.own[j], leaf.ratio[j] = j, chunk.own[shared + j], chunk.ratio[shared + j]
        leaf.of_bit[j], leaf.side[j] = j, 1
    leaf.of_bit[on_way : chunk.bits[unit]] = -1
    players = on_way
    for t in range(len(way) - 1):
        member = chunk.split_player[unit, position[t]]
        j = 0
        while j < players and leaf.members[j] != member:
            j += 1
        if j == players:
            leaf.members[j], leaf.own[j], leaf.ratio[j] = member, chunk.own[shared + member], 1.0
            players += 1
        if len(forest.ratio):
            leaf.ratio[j] *= forest.ratio[way[t + 1]]
        bit = on_way + position[t]
        leaf.of_bit[bit], leaf.side[bit] = j, 1 if stage[t] == 1 else 0
    return players


@compiled
def _add(value, own, fails, above, with_player, tables):  # type: ignore[no-untyped-def]
    """Add a leaf to the tables of its unit, one raw score.

    Args:
        value: what the leaf adds.
        own: the number of each player's own table, or -1.
        fails: the players failed, by the unit's index of a row.
        above: A of value 1, by the players failed.
        with_player: E of value 1.
        tables: the unit's tables.
    """
    size = len(fails)
    for x in range(size):
        tables[x] += value * above[fails[x]]
    for x in range(size):
        tables[size + x] += value * with_player[fails[x]]
    for j in range(len(own)):
        if own[j] < 0:
            continue
        of_own, bit = (2 + own[j]) * size, 1 << j
        for x in range(size):
            tables[of_own + x] += value * (above[fails[x]] - with_player[fails[x] | bit])


@compiled
def _tables_of(chunk, unit):  # type: ignore[no-untyped-def]
    """The number of tables of a unit, for one raw score."""
    most = -1
    for i in range(chunk.shared[unit], chunk.shared[unit + 1]):
        most = max(most, chunk.own[i])
    return most + 3


@compiled
def _map(of_bit, side, fails):  # type: ignore[no-untyped-def]
    """The players of a leaf whom a row fails, by the unit's index of the row.

    Args:
        of_bit: the player's place for each bit of the index; -1 where the bit does not matter to the leaf.
        side: the bit's value with which the player fails.
        fails: where they are written, [2^bits].
    """
    fails[0] = 0
    for j in range(len(of_bit)):
        half = 1 << j
        zero = one = np.int32(0)
        if of_bit[j] >= 0:
            bit = np.int32(1 << of_bit[j])
            zero, one = (np.int32(0), bit) if side[j] else (bit, np.int32(0))
        for x in range(half):
            fails[half + x] = fails[x] | one
        if zero:
            for x in range(half):
                fails[x] |= zero
