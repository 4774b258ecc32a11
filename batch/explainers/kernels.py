"""Fused kernels for the costliest rules of deepshap.pt: they read rows and references, and build no grid of pairs.

Each gives the multipliers of the portable rule of the same name, to 1e-5, in float32 on the CPU. They release the
interpreter's lock and run on one thread, as the passes run side by side. An array of multipliers is [C, N, R, ...]:
classes, rows, references; of values [N, ...] in rows and [R, ...] in references.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]

# No sums may be reordered: differences of neighbouring floats are exact as they are written, and only so.
compiled: Any = njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
inlined: Any = njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, inline="always")
# Except in a long sum of products, which takes vector instructions then.
summing: Any = njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})

ONE, HALF = np.float32(1), np.float32(0.5)

# tanh(z) / z as P(z^2) / Q(z^2) for |z| < 9, fitted for the least relative error, 2e-8; beyond, tanh is 1.
FAR = np.float32(9)
P0, P1, P2, P3, P4 = map(np.float32, (0.9999999795, 0.1338102568, 3.495588194e-3, 2.060908398e-5, 1.335466452e-8))
Q1, Q2, Q3, Q4 = map(np.float32, (0.4671434127, 0.0258769824, 3.285634955e-4, 7.776559404e-7))


@inlined
def slope_of_tanh(z: np.float32) -> np.float32:
    """tanh(z) / z; 1 at 0."""
    size = abs(z)
    near = size < FAR
    s = z * z
    numerator = (((P4 * s + P3) * s + P2) * s + P1) * s + P0 if near else ONE
    denominator = (((Q4 * s + Q3) * s + Q2) * s + Q1) * s + ONE if near else size
    return numerator / denominator


@inlined
def decay(z: np.float32) -> np.float32:
    """(1 - exp(-z)) / z for z >= 0, by way of t = tanh(z / 2): it is (t / (z / 2)) / (1 + t)."""
    half = HALF * z
    slope = slope_of_tanh(half)
    tanh = slope * half if half < FAR else ONE
    return slope / (ONE + tanh)


@compiled
def lstm_step(
    step: int,
    of_sequence: Array,
    of_hidden: Array,
    of_cell: Array,
    rows: tuple[Array, ...],
    refs: tuple[Array, ...],
    gates: Array,
) -> None:
    """One step of an LSTM's walk back through time.

    Args:
        step: the position t.
        of_sequence: multipliers of the sequence [C, N, R, T, H].
        of_hidden: of the hidden state after the step, [C, N, R, >= H].
        of_cell: of the cell after the step, [C, N, R, H]; becomes that of the cell before it.
        rows: arguments, tanhs and partners [N, T, 5H] and forget gates [N, T, H].
        refs: the same of the references.
        gates: where the multipliers of the gates' arguments go, [C, N, R, 4H].
    """
    half_of_row, tanh_of_row, partner_of_row, forget_of_row = rows
    half_of_ref, tanh_of_ref, partner_of_ref, forget_of_ref = refs
    classes, size = of_cell.shape[0], of_cell.shape[3]
    factor, kept = np.empty(5 * size, np.float32), np.empty(size, np.float32)
    for n in range(len(half_of_row)):
        x, tanh_x, partner_x, forget_x = (
            half_of_row[n, step],
            tanh_of_row[n, step],
            partner_of_row[n, step],
            forget_of_row[n, step],
        )
        for r in range(len(half_of_ref)):
            y, tanh_y, partner_y, forget_y = (
                half_of_ref[r, step],
                tanh_of_ref[r, step],
                partner_of_ref[r, step],
                forget_of_ref[r, step],
            )
            for i in range(5 * size):
                partner = HALF * (partner_x[i] + partner_y[i])
                factor[i] = partner * slope_of_tanh(x[i] - y[i]) * (ONE - tanh_x[i] * tanh_y[i])
            for i in range(size):
                kept[i] = HALF * (forget_x[i] + forget_y[i])
            for c in range(classes):
                sequence, hidden = of_sequence[c, n, r, step], of_hidden[c, n, r]
                cell, gate = of_cell[c, n, r], gates[c, n, r]
                for i in range(size):
                    h = sequence[i] + hidden[i]
                    m = cell[i] + h * factor[4 * size + i]
                    gate[i] = m * factor[i]
                    gate[size + i] = m * factor[size + i]
                    gate[2 * size + i] = m * factor[2 * size + i]
                    gate[3 * size + i] = h * factor[3 * size + i]
                    cell[i] = m * kept[i]


@summing
def softmax(m: Array, x: Array, y: Array, p: Array, q: Array, out: Array) -> None:
    """Softmax over the last axis.

    Args:
        m: multipliers of the result [C, N, R, L, S].
        x: arguments in rows [N, L, S].
        y: in references [R, L, S].
        p: results in rows [N, L, S].
        q: in references [R, L, S].
        out: where the multipliers of the arguments go, [C, N, R, L, S].
    """
    classes, size = m.shape[0], m.shape[4]
    mean, apart = np.empty((size, size), np.float32), np.empty((size, size), np.float32)
    change = np.empty(size, np.float32)
    for n in range(len(x)):
        for r in range(len(y)):
            for row in range(m.shape[3]):
                for i in range(size):
                    d = x[n, row, i] - y[r, row, i]
                    change[i] = d if d == d else np.float32(0)  # a masked argument is -inf in both
                for i in range(size):
                    for j in range(size):
                        apart[i, j] = abs(change[i] - change[j])
                        mean[i, j] = max(p[n, row, i] * q[r, row, j], p[n, row, j] * q[r, row, i])
                flat, flat_apart = mean.reshape(-1), apart.reshape(-1)
                for k in range(size * size):
                    flat[k] *= decay(flat_apart[k])
                for c in range(classes):
                    given, taken = m[c, n, r, row], out[c, n, r, row]
                    for i in range(size):
                        total = np.float32(0)
                        for j in range(size):
                            total += mean[i, j] * (given[i] - given[j])
                        taken[i] = total


@compiled
def maximum_of_pairs(m: Array, x: Array, y: Array, pairs: NDArray[np.int64], out: Array) -> None:
    """The larger value of each pair of elements, no element in two pairs.

    Args:
        m: multipliers of the maxima [C, N, R, O].
        x: elements in rows [N, E].
        y: in references [R, E].
        pairs: the two elements of each maximum [O, 2].
        out: zeros; where the multipliers of the elements go, [C, N, R, E].
    """
    for n in range(len(x)):
        for r in range(len(y)):
            for o in range(len(pairs)):
                i, j = pairs[o]
                a, b, s, t = x[n, i], x[n, j], y[r, i], y[r, j]
                of_i = _share(a, s, b, t)
                of_j = _share(b, t, a, s)
                for c in range(len(m)):
                    out[c, n, r, i] = m[c, n, r, o] * of_i
                    out[c, n, r, j] = m[c, n, r, o] * of_j


@inlined
def _share(x: np.float32, y: np.float32, other: np.float32, of_other: np.float32) -> np.float32:
    """The multiplier of one of two values in their maximum: see `two_players` of the portable rule."""
    if x == y:
        wins = (x > other) + (x >= other) + (y > of_other) + (y >= of_other)
        return np.float32(0.25) * np.float32(wins)
    with_other = max(x, other) - max(y, other)
    without = max(x, of_other) - max(y, of_other)
    return HALF * (with_other + without) / (x - y)
