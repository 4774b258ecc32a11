"""A and E of one leaf, for every set of players whom a row fails; see `share_weights`."""

import numpy as np

from whyport.batch.methods.compiled import compiler

compiled = compiler("contract", "nsz")


@compiled
def by_references(found, masses, players, fails, measure, mass, above, with_player):  # type: ignore[no-untyped-def]
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
def by_cover(ratio, measure, above, with_player):  # type: ignore[no-untyped-def]
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
