"""The tables of units: for every way a row can pass, what each player has of the leaves below."""

import numpy as np

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.chunk import patterns

compiled = compiler("contract", "nsz")


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
    room = chunk.split_player.shape[1] + 2
    way, stage, position = np.empty(room, np.int32), np.empty(room, np.int8), np.empty(room, np.int32)
    of_bit, side = np.empty(most + 1, np.int32), np.empty(most + 1, np.int8)
    members, own, ratio = np.empty(most + 1, np.int32), np.empty(most + 1, np.int32), np.empty(most + 1)
    by_cover = len(forest.ratio) > 0
    for unit in range(first, stop):
        bits, on_way, shared = chunk.bits[unit], chunk.way[unit], chunk.shared[unit]
        size = 1 << bits
        distinct = 0
        if not by_cover:
            patterns(chunk, unit, measure.cells, 0, places)
            for r in range(len(places)):
                mass[places[r]] += measure.weights[r]
            for r in range(len(places)):
                if mass[places[r]] > 0.0:
                    found[distinct], masses[distinct] = places[r], mass[places[r]]
                    mass[places[r]] = 0.0
                    distinct += 1
        for c in range(chunk.table.shape[1]):
            if chunk.table[unit, c] >= 0:
                tables[chunk.table[unit, c] : chunk.table[unit, c] + _tables_of(chunk, unit) * size] = 0.0
        # Every leaf, by the way to it: the splits, and the side taken of each.
        top, splits = 0, 0
        way[0], stage[0] = chunk.node[unit], 0
        while top >= 0:
            node = way[top]
            if forest.left[node] >= 0:
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
                continue
            players = on_way
            for j in range(on_way):
                members[j], own[j], ratio[j] = j, chunk.own[shared + j], chunk.ratio[shared + j]
            for j in range(bits):
                of_bit[j], side[j] = (j, 1) if j < on_way else (-1, 0)
            for t in range(top):
                member = chunk.split_player[unit, position[t]]
                j = 0
                while j < players and members[j] != member:
                    j += 1
                if j == players:
                    members[j], own[j], ratio[j] = member, chunk.own[shared + member], 1.0
                    players += 1
                if by_cover:
                    ratio[j] *= forest.ratio[way[t + 1]]
                of_bit[on_way + position[t]], side[on_way + position[t]] = j, 1 if stage[t] == 1 else 0
            _map(of_bit[:bits], side, fails)
            if by_cover:
                _by_cover(ratio[:players], measure, above, with_player)
            else:
                _by_references(found[:distinct], masses, players, fails, measure, mass, above, with_player)
            for c in range(chunk.table.shape[1]):
                value, at = forest.value[node, c], chunk.table[unit, c]
                if value == 0.0:
                    continue
                for x in range(size):
                    tables[at + x] += value * above[fails[x]]
                for x in range(size):
                    tables[at + size + x] += value * with_player[fails[x]]
                for j in range(players):
                    if own[j] < 0:
                        continue
                    of_own, bit = at + (2 + own[j]) * size, 1 << j
                    for x in range(size):
                        tables[of_own + x] += value * (above[fails[x]] - with_player[fails[x] | bit])
            top -= 1


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


@compiled
def _by_references(found, masses, players, fails, measure, mass, above, with_player):  # type: ignore[no-untyped-def]
    """A and E of a leaf of value 1, [2^players] each: every reference adds to the subsets of those it satisfies.

    Args:
        found: the distinct indices of the references in the unit.
        masses: the weight of each.
        players: the number d of the leaf's players.
        fails: the players failed, by index.
        measure: the weights W.
        mass: zeros, by the players satisfied; left as zeros.
        above: where A is written.
        with_player: where E is written.
    """
    full = (1 << players) - 1
    above[: full + 1] = 0.0
    with_player[: full + 1] = 0.0
    for r in range(len(found)):
        mass[full & ~fails[found[r]]] += masses[r]
    for r in range(len(found)):
        satisfied = full & ~fails[found[r]]
        weight = mass[satisfied]
        if weight == 0.0:
            continue
        mass[satisfied] = 0.0
        row = measure.shares[players - measure.counts[satisfied]]
        subset = satisfied
        while subset:
            b = measure.counts[subset]
            above[subset] += weight * row[b]
            with_player[subset] += weight * row[b - 1]
            subset = (subset - 1) & satisfied
        above[0] += weight * row[0]


@compiled
def _by_cover(ratio, measure, above, with_player):  # type: ignore[no-untyped-def]
    """A and E of a leaf of value 1 where each player i is satisfied by itself with probability ratio[i].

    These are the shares against references that are independent in the leaf's players: the path-dependent game. For
    each m, a polynomial has the probabilities by the number of players failed outside m.
    """
    players = len(ratio)
    chance, weight = np.zeros((players + 1, players + 2)), np.empty(players + 1)
    degree = np.zeros(players + 1, np.int64)
    weight[0], chance[0, 0] = 1.0, 1.0
    for m in range(1 << players):
        # Bits from the highest on: only what is behind the highest that has changed is computed again.
        level = 0
        if m:
            level = players - 1
            while not m >> (players - 1 - level) & 1:
                level -= 1
        while level < players:
            place = players - 1 - level
            if m >> place & 1:
                weight[level + 1], degree[level + 1] = weight[level] * ratio[place], degree[level]
                chance[level + 1] = chance[level]
            else:
                weight[level + 1], degree[level + 1] = weight[level], degree[level] + 1
                chance[level + 1, 0] = chance[level, 0] * ratio[place]
                for a in range(1, degree[level + 1] + 1):
                    chance[level + 1, a] = chance[level, a] * ratio[place] + chance[level, a - 1] * (1 - ratio[place])
            level += 1
        b, one, other = measure.counts[m], 0.0, 0.0
        for a in range(degree[players] + 1):
            one += chance[players, a] * measure.shares[a, b]
            if b:
                other += chance[players, a] * measure.shares[a, b - 1]
        above[m], with_player[m] = weight[players] * one, weight[players] * other
