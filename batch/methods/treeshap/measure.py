"""What rows are measured against, and the weights of the Shapley value for a leaf."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.units import cut

MOST_BITS = 14
"""The most bits of a table's index."""


class Measure(NamedTuple):
    """What the rows are measured against, and the weights of the Shapley value."""

    cells: NDArray[np.float32]
    """[P, R]: the cells of the references; [P, 0] where the trees' own training rows are measured against."""
    weights: NDArray[np.float64]
    """[R]: the references' weights."""
    shares: NDArray[np.float64]
    """[d + 1, d + 1]: the weights W, see `share_weights`."""
    transposed: NDArray[np.float64]
    """[d + 1, d + 1]: W by b and a, with 0 for a = 0."""
    counts: NDArray[np.int8]
    """[2^bits]: the number of bits of each index."""
    quadrature: NDArray[np.float64]
    """[2, n]: places in (0, 1) and their weights, for polynomials of degree d - 1."""


def share_weights(most: int) -> NDArray[np.float64]:
    """W [most + 1, most + 1], by a, the players whom only the row satisfies, and b, those whom only a reference does.

    W[a, b] = (a - 1)! b! / (a + b)! for a > 0, and W[0, b] = -(1 + 1/2 + ... + 1/b). With it, one formula gives the
    share of every player of a leaf. Let m be the players whom the row fails, and q those whom a reference satisfies:

        share_i = A[m] - E[m | i], with A[m] = W[d - |q|, |m|] and E[s] = W[d - |q|, |s| - 1] if q holds m, or s; else 0

    Where only the row satisfies i, E is 0, and A is the Shapley value of a leaf that needs a players in, and b out.
    Where only the reference does, the difference is W[a, b] - W[a, b - 1] = -(b - 1)! a! / (a + b)!, its negative
    counterpart; for a = 0 it is -1 / b, which is why W[0] are harmonic numbers. Where both do, both terms are equal.
    """
    weights = np.zeros((most + 1, most + 1))
    count = np.arange(1, most + 1)
    weights[0, 1:] = -np.cumsum(1 / count)
    weights[1:, 0] = 1 / count
    for b in range(1, most + 1):
        weights[1:, b] = weights[1:, b - 1] * b / (count + b)
    return weights


def bit_counts(bits: int) -> NDArray[np.int8]:
    """The number of bits of each number below 2^bits."""
    counts = np.zeros(1 << bits, dtype=np.int8)
    for bit in range(bits):
        counts[1 << bit : 2 << bit] = counts[: 1 << bit] + 1
    return counts


def measure_of(forest: Forest, cells: NDArray[np.float32], weights: NDArray[np.float64]) -> Measure:
    """The measure for a forest's rows.

    Args:
        forest: the trees.
        cells: the cells of the references, [R, P]; [0, P] where the trees' own training rows are measured against.
        weights: the references' weights, [R].
    """
    most = int(cut(forest, 0).players.max(initial=0))
    places, of_places = np.polynomial.legendre.leggauss(max(1, -(-most // 2)))
    quadrature = np.stack([(places + 1) / 2, of_places / 2])
    shares, counts = share_weights(max(most, MOST_BITS)), bit_counts(MOST_BITS)
    transposed = np.ascontiguousarray(shares.T)
    transposed[:, 0] = 0
    return Measure(np.ascontiguousarray(cells.T), weights, shares, transposed, counts, quadrature)
