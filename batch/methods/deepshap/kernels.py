"""Fused kernels for the costliest rules of deepshap.pt: they read rows and references, and build no grid of pairs.

Each gives the multipliers of the portable rule of the same name, to 1e-5, in float32 on the CPU. Kernels release the
interpreter's lock and run on one thread each, because the passes run side by side.

Multipliers are [C, N, R, ...]: classes, rows, references. Values are [N, ...] in rows and [R, ...] in references.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.compiled import compiler

Array = NDArray[np.float32]


# No sum may be reordered: differences of neighbouring floats are exact only in the order as written.
compiled = compiler("contract", "nsz")
inlined = compiler("contract", "nsz", inline="always")
# The exception: a long sum of products, which then takes vector instructions.
summing = compiler("contract", "nsz", "reassoc")

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)

# tanh(z) / z as P(z^2) / Q(z^2) for |z| < 9, fitted for the least relative error, 2e-8; beyond 9, tanh is 1.
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
    """(1 - exp(-z)) / z for z >= 0, computed as (t / (z / 2)) / (1 + t) with t = tanh(z / 2)."""
    half = HALF * z
    slope = slope_of_tanh(half)
    tanh = slope * half if half < FAR else ONE
    return slope / (ONE + tanh)


@cache
def lstm_step(size: int) -> Any:
    """The kernel for LSTMs with H hidden units; a size known to the compiler lets it unroll every loop over them."""

    @compiled
    def kernel(
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
            of_hidden: multipliers of the hidden state after the step, [C, N, R, >= H].
            of_cell: multipliers of the cell after the step, [C, N, R, H]; overwritten by the ones before the step.
            rows: arguments, tanhs and partners [T, N, 5H] and forget gates [T, N, H].
            refs: the same for the references.
            gates: where the multipliers of the gates' arguments are written, [C, N, R, 4H].
        """
        half_of_row, tanh_of_row, partner_of_row, forget_of_row = rows
        half_of_ref, tanh_of_ref, partner_of_ref, forget_of_ref = refs
        classes = len(of_cell)
        factor, kept = np.empty(5 * size, np.float32), np.empty(size, np.float32)
        for n in range(half_of_row.shape[1]):
            x, tanh_x, partner_x, forget_x = (
                half_of_row[step, n],
                tanh_of_row[step, n],
                partner_of_row[step, n],
                forget_of_row[step, n],
            )
            for r in range(half_of_ref.shape[1]):
                y, tanh_y, partner_y, forget_y = (
                    half_of_ref[step, r],
                    tanh_of_ref[step, r],
                    partner_of_ref[step, r],
                    forget_of_ref[step, r],
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

    return kernel


@compiled
def softmax(m: Array, x: Array, y: Array, p: Array, q: Array, out: Array) -> None:
    """Softmax over the last axis, for all L rows of S values of a pair at once.

    Args:
        m: multipliers of the result [C, N, R, L, S].
        x: arguments in rows [N, S, L].
        y: arguments in references [R, S, L].
        p: results in rows [N, S, L].
        q: results in references [R, S, L].
        out: where the multipliers of the arguments are written, [C, N, R, L, S].
    """
    classes, lines, size = m.shape[0], m.shape[3], m.shape[4]
    change, mean = np.empty((size, lines), np.float32), np.empty(lines, np.float32)
    given, taken = np.empty((classes, size, lines), np.float32), np.empty((classes, size, lines), np.float32)
    for n in range(len(x)):
        for r in range(len(y)):
            for i in range(size):
                for k in range(lines):
                    d = x[n, i, k] - y[r, i, k]
                    change[i, k] = d if d == d else ZERO  # a masked argument is -inf in both
            for c in range(classes):
                given[c] = m[c, n, r].T
            taken[:] = ZERO
            for i in range(size):
                for j in range(i):
                    a, b, p_i, p_j, q_i, q_j = change[i], change[j], p[n, i], p[n, j], q[r, i], q[r, j]
                    for k in range(lines):
                        mean[k] = max(p_i[k] * q_j[k], p_j[k] * q_i[k]) * decay(abs(a[k] - b[k]))
                    for c in range(classes):
                        given_i, given_j, taken_i, taken_j = given[c, i], given[c, j], taken[c, i], taken[c, j]
                        for k in range(lines):
                            share = mean[k] * (given_i[k] - given_j[k])
                            taken_i[k] += share
                            taken_j[k] -= share
            for c in range(classes):
                out[c, n, r] = taken[c].T


@compiled
def relu(m: Array, x: Array, y: Array, out: Array) -> None:
    """The rescale rule of max(0, x).

    Args:
        m: multipliers of the result [C, N, R, E].
        x: arguments in rows [N, E].
        y: arguments in references [R, E].
        out: where the multipliers of the arguments are written, [C, N, R, E].
    """
    factor = np.empty(x.shape[1], np.float32)
    for n in range(len(x)):
        row = x[n]
        for r in range(len(y)):
            reference = y[r]
            for i in range(len(factor)):
                a, b = row[i], reference[i]
                same = a == b
                rise = np.float32(a > ZERO) if same else max(a, ZERO) - max(b, ZERO)
                factor[i] = rise / (ONE if same else a - b)
            for c in range(len(m)):
                given, taken = m[c, n, r], out[c, n, r]
                for i in range(len(factor)):
                    taken[i] = given[i] * factor[i]


@cache
def small_products(rows: int, columns: int, inner: int) -> Any:
    """The kernel for products of small matrices [I, K] @ [K, J]; each of the two matrices is a player.

    It is compiled for one size: a size known to the compiler lets it keep a row of a result in registers.
    """

    @summing
    def kernel(
        m: Array,
        rights: tuple[Array, Array],
        lefts: tuple[Array, Array],
        starts: tuple[NDArray[np.int64], NDArray[np.int64]],
        outs: tuple[Array, Array],
    ) -> None:
        """The multipliers of the left matrices, and of the right ones transposed.

        Args:
            m: multipliers of the products [C, N, R, B, I, J].
            rights: right matrices transposed, in rows [N, B, J, K] and references [R, B, J, K].
            lefts: left matrices, in rows [N, B, I, K] and references [R, B, I, K].
            starts: where each line of K multipliers starts, for left matrices [B, I] and right ones [B, J].
            outs: where the multipliers are written, [C, N, R, B * I * K] and [C, N, R, B * J * K].
        """
        classes, _, _, batches = m.shape[:4]
        left, right = np.empty((rows, inner), np.float32), np.empty((columns, inner), np.float32)
        for n in range(len(lefts[0])):
            for r in range(len(lefts[1])):
                for b in range(batches):
                    for k in range(inner):
                        for i in range(rows):
                            left[i, k] = HALF * (lefts[0][n, b, i, k] + lefts[1][r, b, i, k])
                        for j in range(columns):
                            right[j, k] = HALF * (rights[0][n, b, j, k] + rights[1][r, b, j, k])
                    for c in range(classes):
                        given = m[c, n, r, b]
                        for i in range(rows):
                            start = starts[0][b, i]
                            of_left = outs[0][c, n, r, start : start + inner]
                            for k in range(inner):
                                total = ZERO
                                for j in range(columns):
                                    total += given[i, j] * right[j, k]
                                of_left[k] = total
                        for j in range(columns):
                            start = starts[1][b, j]
                            of_right = outs[1][c, n, r, start : start + inner]
                            for k in range(inner):
                                total = ZERO
                                for i in range(rows):
                                    total += given[i, j] * left[i, k]
                                of_right[k] = total

    return kernel
