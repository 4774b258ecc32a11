"""Leaves of more players than a table can hold: the shares of each distinct pattern of the rows, computed once."""

import numpy as np

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.chunk import ABOVE, AT_MOST, NOT_AT_MOST, patterns

compiled = compiler("contract", "nsz")

PATTERN_PLAYERS = 62
"""The most players whose pattern is one number."""


@compiled
def explain_leaves(forest, measure, chunk, leaves, cells, block, shares):  # type: ignore[no-untyped-def]
    """Add what a block of rows has of leaves of at most PATTERN_PLAYERS players, one raw score.

    Args:
        forest: the trees.
        measure: what is measured against; `quadrature` in place of references goes by cover.
        chunk: the leaves.
        leaves: their number.
        cells: the cells of all rows, [P, N].
        block: the first row, the one behind the last, and their raw score.
        shares: where it is added, [G, N].
    """
    first, stop, score = block
    rows, references = stop - first, measure.cells.shape[1]
    index, failing, sizes = np.empty(rows, np.int64), np.empty(references, np.int64), np.empty(references, np.int64)
    sorted_failing, weights = failing.copy(), np.empty(references)
    starts = np.empty(PATTERN_PLAYERS + 2, np.int64)
    few, known = np.empty(rows, np.int32), np.empty(rows, np.int32)
    vectors = np.empty((rows + 1, PATTERN_PLAYERS))
    slots = 1
    while slots < 2 * rows:
        slots *= 2
    keys, numbers, stamps = np.empty(slots, np.int64), np.empty(slots, np.int32), np.zeros(slots, np.int32)
    failed = np.empty(PATTERN_PLAYERS, np.bool_)
    for leaf in range(leaves):
        value = forest.value[chunk.node[leaf], score]
        if value == 0.0:
            continue
        players, shared = chunk.way[leaf], chunk.shared[leaf]
        patterns(chunk, leaf, cells, first, index)
        if references:
            # References in the order of the players they fail: those that cover b failing players are in front.
            patterns(chunk, leaf, measure.cells, 0, failing)
            starts[:] = 0
            for r in range(references):
                sizes[r] = _count(failing[r])
                starts[sizes[r] + 1] += 1
            for b in range(1, len(starts)):
                starts[b] += starts[b - 1]
            for r in range(references):
                at = starts[sizes[r]]
                starts[sizes[r]] += 1
                sorted_failing[at], weights[at] = failing[r], measure.weights[r]
            # Now starts[s] is the number of references that fail at most s players.
        distinct, count = 0, 0
        for k in range(rows):
            pattern = index[k]
            at = (pattern * np.int64(0x9E3779B97F4A7C1)) >> np.int64(20) & np.int64(slots - 1)
            while stamps[at] == leaf + 1 and keys[at] != pattern:
                at = (at + 1) & (slots - 1)
            if stamps[at] != leaf + 1:
                stamps[at], keys[at], numbers[at] = leaf + 1, pattern, -1
                vector = vectors[distinct, :players]
                if references:
                    covering = starts[players - _count(pattern)]
                    has_share = _by_references(pattern, sorted_failing[:covering], weights, measure.shares, vector)
                else:
                    for j in range(players):
                        failed[j] = (pattern >> j) & 1
                    has_share = _by_cover(failed, chunk.ratio[shared : shared + players], measure.quadrature, vector)
                if has_share:
                    numbers[at] = distinct
                    distinct += 1
            few[count], known[count] = k, numbers[at]
            count += numbers[at] >= 0
        for j in range(players):
            player_shares = shares[chunk.player[shared + j]][first:stop]
            for k in range(count):
                player_shares[few[k]] += value * vectors[known[k], j]


@compiled
def explain_widest(forest, measure, chunk, leaves, cells, block, shares):  # type: ignore[no-untyped-def]
    """The same for leaves of any number of players, one row after the other."""
    first, stop, score = block
    rows, references = stop - first, measure.cells.shape[1]
    for leaf in range(leaves):
        value = forest.value[chunk.node[leaf], score]
        if value == 0.0:
            continue
        players, shared = chunk.way[leaf], chunk.shared[leaf]
        of_rows, of_references = np.zeros((rows, players), np.bool_), np.zeros((references, players), np.bool_)
        _fails(chunk, leaf, cells, first, of_rows)
        _fails(chunk, leaf, measure.cells, 0, of_references)
        vector = np.empty(players)
        for k in range(rows):
            vector[:] = 0.0
            failed = of_rows[k]
            if not references:
                _by_cover(failed, chunk.ratio[shared : shared + players], measure.quadrature, vector)
            for r in range(references):
                other = of_references[r]
                a, b, is_covered = 0, 0, True
                for j in range(players):
                    is_covered &= not (failed[j] and other[j])
                    a += other[j]
                    b += failed[j]
                if not is_covered:
                    continue
                up = measure.weights[r] * measure.shares[a, b] if a else 0.0
                down = measure.weights[r] * measure.shares[b, a] if b else 0.0
                for j in range(players):
                    vector[j] += up if other[j] else -down if failed[j] else 0.0
            for j in range(players):
                shares[chunk.player[shared + j], first + k] += value * vector[j]


@compiled
def _fails(chunk, leaf, cells, first, made):  # type: ignore[no-untyped-def]
    """Whether each row fails each player of a leaf, into `made` [N, d]."""
    for i in range(chunk.compared[leaf], chunk.compared[leaf + 1]):
        row = cells[chunk.cell[i]][first : first + len(made)]
        bound, form, j = chunk.threshold[i], chunk.form[i], chunk.bit[i]
        for k in range(len(made)):
            if form == ABOVE:
                made[k, j] |= row[k] > bound
            elif form == NOT_AT_MOST:
                made[k, j] |= not row[k] <= bound
            elif form == AT_MOST:
                made[k, j] |= row[k] <= bound
            else:
                made[k, j] |= not row[k] > bound


@compiled
def _by_references(pattern, failing, weights, share_weights, vector):  # type: ignore[no-untyped-def]
    """The shares of a leaf of value 1, into `vector` [d]; returns whether any reference covers the failing players.

    Args:
        pattern: the players whom the row fails.
        failing: the players whom each reference fails.
        weights: the references' weights.
        share_weights: the weights W.
        vector: where the shares are written.
    """
    vector[:] = 0.0
    covering = 0
    for r in range(len(failing)):
        covering += (pattern & failing[r]) == 0
    if not covering:
        return False
    b, down = _count(pattern), 0.0
    for r in range(len(failing)):
        if pattern & failing[r]:
            continue
        a = _count(failing[r])
        up = weights[r] * share_weights[a, b] if a else 0.0
        if b:
            down += weights[r] * share_weights[b, a]
        for j in range(len(vector)):
            vector[j] += up * ((failing[r] >> j) & 1)
    for j in range(len(vector)):
        if (pattern >> j) & 1:
            vector[j] = -down
    return True


@compiled
def _by_cover(failed, ratio, quadrature, vector):  # type: ignore[no-untyped-def]
    """The path-dependent shares of a leaf of value 1, into `vector` [d]; returns whether they are not all 0.

    With x_j, whether the row satisfies player j, the share of i is (x_i - ratio_i) times the integral over y from 0 to
    1 of the product of y x_j + (1 - y) ratio_j over all others: y is the chance to be in a coalition. The product is
    a polynomial, which the quadrature integrates exactly.
    """
    vector[:] = 0.0
    for j in range(len(ratio)):
        if failed[j] and ratio[j] == 0.0:
            return False
    for n in range(quadrature.shape[1]):
        y, product = quadrature[0, n], quadrature[1, n]
        for j in range(len(ratio)):
            product *= (1 - y) * ratio[j] + (0.0 if failed[j] else y)
        for j in range(len(ratio)):
            vector[j] += product / ((1 - y) * ratio[j] + (0.0 if failed[j] else y))
    for j in range(len(ratio)):
        vector[j] *= (0.0 if failed[j] else 1.0) - ratio[j]
    return True


@compiled
def _count(pattern):  # type: ignore[no-untyped-def]
    """The number of a pattern's bits."""
    count = 0
    while pattern:
        pattern &= pattern - 1
        count += 1
    return count
