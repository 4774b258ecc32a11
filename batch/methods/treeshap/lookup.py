"""Rows looked up in the tables of units."""

import numpy as np

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.chunk import patterns

compiled = compiler("contract", "nsz")


@compiled
def look_up(chunk, units, tables, cells, block, shares):  # type: ignore[no-untyped-def]
    """Add what a block of rows has of the units, one raw score.

    Args:
        chunk: the units.
        units: their number.
        tables: their tables, side by side.
        cells: the cells of all rows, [P, N].
        block: the first row, the one behind the last, and their raw score.
        shares: where it is added, [G, N].
    """
    first, stop, score = block
    rows = stop - first
    index, base = np.empty(rows, np.int32), np.empty(rows)
    for unit in range(units):
        at = chunk.table[unit, score]
        if at < 0:
            continue
        patterns(chunk, unit, cells, first, index)
        size = 1 << chunk.bits[unit]
        above, with_player = tables[at : at + size], tables[at + size : at + 2 * size]
        shared, way = chunk.shared[unit], chunk.way[unit]
        if way:
            for k in range(rows):
                base[k] = above[index[k]]
        for i in range(shared, chunk.shared[unit + 1]):
            player_shares = shares[chunk.player[i]][first:stop]
            if chunk.own[i] < 0:
                bit = np.int32(1 << (i - shared))
                for k in range(rows):
                    player_shares[k] += base[k] - with_player[index[k] | bit]
            else:
                start = at + (2 + chunk.own[i]) * size
                table = tables[start : start + size]
                for k in range(rows):
                    player_shares[k] += table[index[k]]
