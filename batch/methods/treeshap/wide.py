"""Leaves of more players than a table can hold: the shares of each distinct pattern of the rows, computed once."""

import numpy as np

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.chunk import ABOVE, AT_MOST, NOT_AT_MOST, patterns

compiled = compiler("contract", "nsz")

PATTERN_PLAYERS = 62
"""The most players whose pattern is one number."""

DIRECT_PLAYERS = 16
"""The most players whose patterns are numbered by a table; beyond, by a hash table."""

FEW_PATTERNS = 64
"""Up to so many distinct patterns are explained one by one, each by the references that cover it."""

PADDING = 16


@compiled
def explain_leaves(forest, measure, chunk, part, cells, block, shares):  # type: ignore[no-untyped-def]
    """Add what a block of rows has of leaves of at most PATTERN_PLAYERS players, one raw score.

    Args:
        forest: the trees.
        measure: what is measured against; without references, the training rows by cover.
        chunk: the leaves.
        part: the first leaf to explain, and the one behind the last.
        cells: the cells of all rows, [P, N].
        block: the first row, the one behind the last, and their raw score.
        shares: where it is added, [G, rows of the block].
    """
    first, stop, score = block
    rows, references = stop - first, measure.cells.shape[1]
    index, number = np.empty(rows, np.int64), np.empty(rows, np.uint32)
    # The shares of each distinct pattern, by player; the first are those of patterns without a share. The padding keeps
    # the players' rows apart in the cache.
    vectors = np.zeros((PATTERN_PLAYERS, rows + PADDING))
    found, patterns_seen = np.empty(rows + 1, np.int64), np.empty(rows, np.int64)
    slots = 1
    while slots < 2 * rows:
        slots *= 2
    keys, numbers, stamps = np.empty(slots, np.int64), np.empty(slots, np.int32), np.zeros(slots, np.int32)
    direct = np.full(1 << DIRECT_PLAYERS, -1, np.int32)
    failing = np.empty(references, np.int64)
    sets = np.empty((PATTERN_PLAYERS, (references + 63) // 64), np.uint64)
    for leaf in range(part[0], part[1]):
        value = forest.value[chunk.node[leaf], score]
        if value == 0.0:
            continue
        players, shared = chunk.way[leaf], chunk.shared[leaf]
        patterns(chunk, leaf, cells, first, index)
        patterns(chunk, leaf, measure.cells, 0, failing)
        _gather_sets(failing, players, sets)
        distinct = 0
        if players <= DIRECT_PLAYERS:
            seen = 0
            for k in range(rows):
                pattern = index[k]
                if direct[pattern] < 0:
                    direct[pattern] = 0
                    patterns_seen[seen] = pattern
                    seen += 1
                    if not references or _is_covered(pattern, players, sets, references):
                        distinct += 1
                        direct[pattern] = distinct
                        found[distinct] = pattern
                number[k] = direct[pattern]
            for n in range(seen):
                direct[patterns_seen[n]] = -1
        else:
            for k in range(rows):
                pattern = index[k]
                at = (pattern * np.int64(0x9E3779B97F4A7C1)) >> np.int64(20) & np.int64(slots - 1)
                while stamps[at] == leaf + 1 and keys[at] != pattern:
                    at = (at + 1) & (slots - 1)
                if stamps[at] != leaf + 1:
                    stamps[at], keys[at], numbers[at] = leaf + 1, pattern, 0
                    if not references or _is_covered(pattern, players, sets, references):
                        distinct += 1
                        numbers[at] = distinct
                        found[distinct] = pattern
                number[k] = numbers[at]
        if references and distinct <= FEW_PATTERNS:
            _one_by_one(found[1 : distinct + 1], players, failing, measure, vectors)
        elif references:
            _by_references(found[1 : distinct + 1], players, failing, measure, vectors)
        else:
            _by_covers(found[1 : distinct + 1], chunk.ratio[shared : shared + players], measure.quadrature, vectors)
        for j in range(players):
            player_shares, table = shares[chunk.player[shared + j]], vectors[j]
            for k in range(rows):
                player_shares[k] += value * table[number[k]]


@compiled
def explain_widest(forest, measure, chunk, part, cells, block, shares):  # type: ignore[no-untyped-def]
    """The same for leaves of any number of players, one row after the other."""
    first, stop, score = block
    rows, references = stop - first, measure.cells.shape[1]
    for leaf in range(part[0], part[1]):
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
                shares[chunk.player[shared + j], k] += value * vector[j]


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
def _gather_sets(failing, players, sets):  # type: ignore[no-untyped-def]
    """The set of references that fail each player, into `sets` [d, words], of the players whom each fails, [R]."""
    sets[:players] = 0
    for j in range(players):
        for r in range(len(failing)):
            sets[j, r >> 6] |= np.uint64((failing[r] >> j) & 1) << np.uint64(r & 63)


@compiled
def _is_covered(pattern, players, sets, references):  # type: ignore[no-untyped-def]
    """Whether any reference satisfies all players whom a row fails: else it has no share of the leaf."""
    for word in range(sets.shape[1]):
        union = np.uint64(0)
        for j in range(players):
            union |= sets[j, word] & np.uint64(-((pattern >> j) & 1))
        covering = ~union
        if references - 64 * word < 64:
            covering &= (np.uint64(1) << np.uint64(references - 64 * word)) - np.uint64(1)
        if covering:
            return True
    return False


@compiled
def _by_references(found, players, failing, measure, vectors):  # type: ignore[no-untyped-def]
    """The shares of a leaf of value 1, of patterns [D], into `vectors` [d, 1 + D]; reference after reference.

    Args:
        found: the players whom the rows of each pattern fail.
        players: the number d of players.
        failing: the players whom each reference fails.
        measure: the references' weights, and the weights W.
        vectors: where the shares are written.
    """
    count = len(found)
    sizes, down, up = np.empty(count, np.uint32), np.zeros(count), np.empty(count)
    of_row, of_reference, mass = np.empty(count), np.empty(count), np.empty(count)
    for n in range(count):
        sizes[n] = _count(found[n])
    for j in range(players):
        vectors[j, 1 : count + 1] = 0.0
    failed = np.empty(len(failing), np.int64)
    for r in range(len(failing)):
        failed[r] = _count(failing[r])
    # The references that fail as many players share their weights W, which are looked up once.
    for a in range(players + 1):
        is_first = True
        for r in range(len(failing)):
            if failed[r] != a:
                continue
            if is_first:
                is_first = False
                row_weights, reference_weights = measure.shares[a], measure.transposed[a]
                for n in range(count):
                    of_row[n], of_reference[n], mass[n] = row_weights[sizes[n]], reference_weights[sizes[n]], 0.0
            fails, weight = failing[r], measure.weights[r]
            for n in range(count):
                share = weight * of_row[n]
                covers = (found[n] & fails) == 0
                up[n] = share if covers else 0.0
                mass[n] += weight if covers else 0.0
            for j in range(players):
                if (fails >> j) & 1:
                    of_player = vectors[j][1 : count + 1]
                    for n in range(count):
                        of_player[n] += up[n]
        if not is_first:
            for n in range(count):
                down[n] += mass[n] * of_reference[n]
    for j in range(players):
        of_player = vectors[j][1 : count + 1]
        for n in range(count):
            of_player[n] -= down[n] if (found[n] >> j) & 1 else 0.0


@compiled
def _one_by_one(found, players, failing, measure, vectors):  # type: ignore[no-untyped-def]
    """The same, pattern after pattern."""
    failed, vector = np.empty(len(failing), np.int64), np.empty(players)
    for r in range(len(failing)):
        failed[r] = _count(failing[r])
    for n in range(len(found)):
        pattern, down = found[n], 0.0
        b = _count(pattern)
        vector[:] = 0.0
        for r in range(len(failing)):
            fails = failing[r]
            if pattern & fails:
                continue
            a, weight = failed[r], measure.weights[r]
            down += weight * measure.transposed[a, b]
            if a:
                up = weight * measure.shares[a, b]
                for j in range(players):
                    vector[j] += up * ((fails >> j) & 1)
        for j in range(players):
            vectors[j, n + 1] = -down if (pattern >> j) & 1 else vector[j]


@compiled
def _by_covers(found, ratio, quadrature, vectors):  # type: ignore[no-untyped-def]
    """The path-dependent shares of a leaf of value 1, of patterns [D], into `vectors` [d, 1 + D]."""
    vector, failed = np.empty(len(ratio)), np.empty(len(ratio), np.bool_)
    for n in range(len(found)):
        for j in range(len(ratio)):
            failed[j] = (found[n] >> j) & 1
        _by_cover(failed, ratio, quadrature, vector)
        for j in range(len(ratio)):
            vectors[j, n + 1] = vector[j]


@compiled
def _by_cover(failed, ratio, quadrature, vector):  # type: ignore[no-untyped-def]
    """The path-dependent shares of a leaf of value 1, into `vector` [d].

    With x_j, whether the row satisfies player j, the share of i is (x_i - ratio_i) times the integral over y from 0 to
    1 of the product of y x_j + (1 - y) ratio_j over all others: y is the chance to be in a coalition. The product is
    a polynomial, which the quadrature integrates exactly.
    """
    vector[:] = 0.0
    for j in range(len(ratio)):
        if failed[j] and ratio[j] == 0.0:
            return
    for n in range(quadrature.shape[1]):
        y, product = quadrature[0, n], quadrature[1, n]
        for j in range(len(ratio)):
            product *= (1 - y) * ratio[j] + (0.0 if failed[j] else y)
        for j in range(len(ratio)):
            vector[j] += product / ((1 - y) * ratio[j] + (0.0 if failed[j] else y))
    for j in range(len(ratio)):
        vector[j] *= (0.0 if failed[j] else 1.0) - ratio[j]


@compiled
def _count(pattern):  # type: ignore[no-untyped-def]
    """The number of a pattern's bits."""
    count = 0
    while pattern:
        pattern &= pattern - 1
        count += 1
    return count
