"""Fused kernels of maxima: of pairs, of blocks of two by two, and of windows of any form.

They are as `kernels.py` says: [C, N, R, ...] multipliers, in float32, on one thread.
"""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.deepshap.kernels import HALF, ONE, ZERO, Array, compiled, inlined

QUARTER, TWELFTH = np.float32(1 / 4), np.float32(1 / 12)

FEW = 16
"""Values that are sorted by insertion; more of them take a sort of fewer comparisons."""


@compiled
def maximum_of_pairs(m: Array, x: Array, y: Array, pairs: NDArray[np.int64], out: Array) -> None:
    """The larger value of each pair of elements; no element is in two pairs.

    Args:
        m: multipliers of the maxima [C, N, R, O].
        x: the pairs' elements in rows [N, 2, O].
        y: the pairs' elements in references [R, 2, O].
        pairs: where the two elements of each maximum are in `out`, [2, O].
        out: zeros on entry; where the multipliers of the elements are written, [C, N, R, E].
    """
    size = m.shape[3]
    of_first, of_second = np.empty(size, np.float32), np.empty(size, np.float32)
    for n in range(len(x)):
        a, b = x[n, 0], x[n, 1]
        for r in range(len(y)):
            s, t = y[r, 0], y[r, 1]
            for o in range(size):
                of_first[o] = _share(a[o], s[o], b[o], t[o])
                of_second[o] = _share(b[o], t[o], a[o], s[o])
            for c in range(len(m)):
                given, taken = m[c, n, r], out[c, n, r]
                for o in range(size):
                    taken[pairs[0, o]] = given[o] * of_first[o]
                    taken[pairs[1, o]] = given[o] * of_second[o]


@inlined
def _share(x: np.float32, y: np.float32, other: np.float32, of_other: np.float32) -> np.float32:
    """The multiplier of one of two values in their maximum: see `two_players` of the portable rule.

    It selects between results instead of branching, so that a loop over it takes vector instructions.
    """
    wins = np.float32(x > other) + np.float32(x >= other) + np.float32(y > of_other) + np.float32(y >= of_other)
    with_other = max(x, other) - max(y, other)
    without = max(x, of_other) - max(y, of_other)
    same = x == y
    return HALF * (HALF * wins if same else with_other + without) / (ONE if same else x - y)


@compiled
def maximum_of_blocks(m: Array, x: Array, y: Array, sign: np.float32, out: Array) -> None:
    """The largest value of each block of two by two neighbours, by the sixteen states that its four values can be in.

    Args:
        m: multipliers of the maxima [C, N, R, P, I, J].
        x: the planes in rows [N, P, >= 2 I, >= 2 J].
        y: the planes in references [R, P, >= 2 I, >= 2 J].
        sign: -1 for the smallest value.
        out: zeros on entry; where the multipliers of the planes are written, [C, N, R, P, >= 2 I, >= 2 J].
    """
    planes, height, width = m.shape[3:]
    factor = np.empty((4, width), np.float32)
    values = np.empty((4, width), np.float32), np.empty((4, width), np.float32)
    for n in range(len(x)):
        for r in range(len(y)):
            for p in range(planes):
                for i in range(height):
                    for side, plane in ((0, x[n, p]), (1, y[r, p])):
                        of_side = values[side]
                        for k in range(2):
                            line = plane[2 * i + k]
                            for j in range(width):
                                of_side[2 * k, j] = line[2 * j] * sign
                                of_side[2 * k + 1, j] = line[2 * j + 1] * sign
                    _blocks(values[0], values[1], factor)
                    for c in range(len(m)):
                        given, taken = m[c, n, r, p, i], out[c, n, r, p]
                        for k in range(2):
                            line = taken[2 * i + k]
                            for j in range(width):
                                line[2 * j] = given[j] * factor[2 * k, j]
                                line[2 * j + 1] = given[j] * factor[2 * k + 1, j]


@compiled
def _blocks(values: Array, of_reference: Array, factor: Array) -> None:
    """The multipliers [4, J] of J maxima of four values, from these [4, J] in row and reference.

    The loop selects between results instead of branching, so that it takes vector instructions.
    """
    x0, x1, x2, x3 = values[0], values[1], values[2], values[3]
    y0, y1, y2, y3 = of_reference[0], of_reference[1], of_reference[2], of_reference[3]
    for j in range(factor.shape[1]):
        a0, a1, a2, a3, b0, b1, b2, b3 = x0[j], x1[j], x2[j], x3[j], y0[j], y1[j], y2[j], y3[j]
        # Of two values each: both of the row, one of it, none.
        s3, s1, s2, s0 = max(a0, a1), max(a0, b1), max(b0, a1), max(b0, b1)
        t3, t1, t2, t0 = max(a2, a3), max(a2, b3), max(b2, a3), max(b2, b3)
        of_0 = _quarter(s1, s0, s3, s2, t0, t1, t2, t3)
        of_1 = _quarter(s2, s0, s3, s1, t0, t1, t2, t3)
        of_2 = _quarter(t1, t0, t3, t2, s0, s1, s2, s3)
        of_3 = _quarter(t2, t0, t3, t1, s0, s1, s2, s3)
        top = max(s3, s0, t3, t0)
        tied_0, tied_1 = np.float32(max(a0, b0) == top), np.float32(max(a1, b1) == top)
        tied_2, tied_3 = np.float32(max(a2, b2) == top), np.float32(max(a3, b3) == top)
        ties = tied_0 + tied_1 + tied_2 + tied_3
        factor[0, j] = (tied_0 if a0 == b0 else of_0) / (ties if a0 == b0 else a0 - b0)
        factor[1, j] = (tied_1 if a1 == b1 else of_1) / (ties if a1 == b1 else a1 - b1)
        factor[2, j] = (tied_2 if a2 == b2 else of_2) / (ties if a2 == b2 else a2 - b2)
        factor[3, j] = (tied_3 if a3 == b3 else of_3) / (ties if a3 == b3 else a3 - b3)


@inlined
def _quarter(
    x_and_b: np.float32,
    y_and_b: np.float32,
    x_and_a: np.float32,
    y_and_a: np.float32,
    none: np.float32,
    first: np.float32,
    second: np.float32,
    both: np.float32,
) -> np.float32:
    """The Shapley value of one of four values in their maximum.

    Args:
        x_and_b, y_and_b: the value in row and in reference, with its neighbour in the reference.
        x_and_a, y_and_a: the same with the neighbour in the row.
        none, first, second, both: the other two, by which of them are in the row.
    """
    ends = (max(x_and_b, none) - max(y_and_b, none)) + (max(x_and_a, both) - max(y_and_a, both))
    one = (max(x_and_b, first) - max(y_and_b, first)) + (max(x_and_b, second) - max(y_and_b, second))
    two = (max(x_and_a, first) - max(y_and_a, first)) + (max(x_and_a, second) - max(y_and_a, second))
    between = (max(x_and_b, both) - max(y_and_b, both)) + (max(x_and_a, none) - max(y_and_a, none))
    return QUARTER * ends + TWELFTH * (one + two + between)


@compiled
def maximum_of_windows(m: Array, x: Array, y: Array, windows: NDArray[np.int64], sign: np.float32, out: Array) -> None:
    """The largest value of each window, as a game of the values that change above what all of them exceed anyway.

    With u of the values that rise and d of those that fall above a threshold, each of the former gets
    (u - 1)! d! / (u + d)! of the maximum there, and each of the latter the negative of u! (d - 1)! / (u + d)!: see the
    portable rule.

    Args:
        m: multipliers of the maxima [C, N, R, P, O].
        x: the planes in rows [N, P, E].
        y: the planes in references [R, P, E].
        windows: the positions of each window in a plane, [O, K]; -1 for none.
        sign: -1 for the smallest value.
        out: zeros on entry; the multipliers of the planes are added to it, [C, N, R, P, E].
    """
    count, size = windows.shape
    factor, found = np.empty((count, size), np.float32), np.empty((2, size), np.float32)
    order, risen, fallen = np.empty(size, np.int64), np.empty(size), np.empty(size)
    for n in range(len(x)):
        for r in range(len(y)):
            for p in range(m.shape[3]):
                for o in range(count):
                    _window(x[n, p], y[r, p], windows[o], sign, found, order, (risen, fallen), factor[o])
                for c in range(len(m)):
                    given, taken = m[c, n, r, p], out[c, n, r, p]
                    for o in range(count):
                        for k in range(size):
                            if windows[o, k] >= 0:
                                taken[windows[o, k]] += given[o] * factor[o, k]


@compiled
def _window(
    x: Array,
    y: Array,
    window: NDArray[np.int64],
    sign: np.float32,
    found: Array,
    order: NDArray[np.int64],
    shares: tuple[NDArray[np.float64], NDArray[np.float64]],
    factor: Array,
) -> None:
    """The multipliers [K] of the values of one window; the arrays between are room to work in."""
    low, high = found
    risen, fallen = shares
    certain, top = np.float32(-np.inf), np.float32(-np.inf)
    for k in range(len(window)):
        if window[k] >= 0:
            a, b = x[window[k]] * sign, y[window[k]] * sign
            low[k], high[k] = min(a, b), max(a, b)
            certain, top = max(certain, low[k]), max(top, high[k])
    above, ties = 0, np.float32(0)
    for k in range(len(window)):
        factor[k] = ZERO
        if window[k] >= 0:
            ties += np.float32(high[k] == top)
            if high[k] > certain:
                above += 1
                order[above - 1] = k
    if above > FEW:
        order[:above] = order[:above][np.argsort(-high[order[:above]])]
    else:
        for i in range(1, above):
            k, j = order[i], i
            while j > 0 and high[order[j - 1]] < high[k]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = k
    up, down, orders = 0, 0, 1.0
    for i in range(above):
        k = order[i]
        rises = x[window[k]] * sign == high[k]
        up, down = (up + 1, down) if rises else (up, down + 1)
        orders *= (up if rises else down) / (up + down)  # u! d! / (u + d)!
        length = high[k] - (high[order[i + 1]] if i + 1 < above else certain)
        risen[i] = orders / up * length if up else 0.0
        fallen[i] = orders / down * length if down else 0.0
    of_up, of_down = 0.0, 0.0
    for i in range(above - 1, -1, -1):
        k = order[i]
        of_up += risen[i]
        of_down += fallen[i]
        rises = x[window[k]] * sign == high[k]
        factor[k] = (of_up if rises else of_down) / (high[k] - low[k])
    for k in range(len(window)):
        if window[k] >= 0 and high[k] == low[k]:
            factor[k] = np.float32(high[k] == top) / ties
