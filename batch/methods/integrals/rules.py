"""Nested rules of the highest degrees: Lobatto's, and the best additions of nodes to it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

SIZES = (7, 13, 25, 49)
"""The numbers of nodes of the rules, both ends among them; of each, every second is a node of the one before."""

FOLLOWED = 4
"""Up to this many times its number of nodes, the degrees at which a rule's errors are known."""


@dataclass(frozen=True)
class Rule:
    """The rule of `size` nodes in [0, 1] that is exact for as many of the lowest degrees as there are nodes."""

    positions: NDArray[np.float64]
    transform: NDArray[np.float64]
    """[size, size]: from values at the nodes to the coefficients of Legendre's polynomials through them.

    The first of them is the integral.
    """
    errors: NDArray[np.float64]
    """[4 * size]: the size of the rule's error for Legendre's polynomial of each degree."""

    def __len__(self) -> int:
        return len(self.positions)


@cache
def rule(size: int) -> Rule:
    """The nested rule of this many nodes.

    One is Lobatto's of 13 nodes, exact up to degree 23. Two are the optimum additions of 12 and 24 nodes to it, exact
    up to degrees 37 and 73; Patterson, Mathematics of Computation 22 (1968), 847-856. The smallest has every second
    node of Lobatto's. All weights are positive.

    Args:
        size: one of `SIZES`, or 4, whose nodes are every second one of the smallest.
    """
    nodes = _nodes(size)
    transform = np.linalg.inv(legendre.legvander(nodes, size - 1)).astype(np.float64)
    degrees = legendre.legvander(nodes, FOLLOWED * size - 1)
    errors = np.abs(transform[0] @ degrees)
    errors[:size] = 0
    positions: NDArray[np.float64] = (1 + nodes) / 2
    return Rule(positions, transform, errors)


@cache
def _nodes(size: int) -> NDArray[np.float64]:
    """The nodes in [-1, 1], in order."""
    lobatto = SIZES[1]
    if size < lobatto:
        return _nodes(2 * size - 1)[::2]
    if size == lobatto:
        inner = legendre.legroots(legendre.legder([0] * (size - 1) + [1]))
        return _symmetric(np.concatenate([[-1.0], inner, [1.0]]))
    known = _nodes((size + 1) // 2)
    return _symmetric(np.sort(np.concatenate([known, _added(known)])))


def _added(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """The zeros of the polynomial that, times the one with the known zeros, is orthogonal to all of lower degree."""
    count = len(known) - 1
    where, weights = legendre.leggauss(2 * len(known))
    product = weights * np.prod(2 * (where[:, None] - known), axis=1)
    degrees = legendre.legvander(where, count)
    products = (degrees[:, :count] * product[:, None]).T @ degrees
    return legendre.legroots(np.append(np.linalg.solve(products[:, :count], -products[:, count]), 1.0))


def _symmetric(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (nodes - nodes[::-1]) / 2
