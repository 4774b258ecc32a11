"""Slow, obvious oracles in float64."""

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def numeric_gradient(f: Function, row: NDArray[np.float64], step: float = 1e-6) -> NDArray[np.float64]:
    """The gradient of f: [N, F] -> [N] at one row, by central differences."""
    steps = np.diag(np.full(len(row), step))
    gradient: NDArray[np.float64] = (f(row + steps) - f(row - steps)) / (2 * step)
    return gradient


def path_integral(
    gradient: Function, row: NDArray[np.float64], reference: NDArray[np.float64], nodes: int = 2000
) -> NDArray[np.float64]:
    """Integrated gradients of one row by the midpoint rule; `gradient` maps [N, F] to [N, F]."""
    positions = (np.arange(nodes) + 0.5) / nodes
    gradients = gradient(reference + positions[:, None] * (row - reference))
    integral: NDArray[np.float64] = (row - reference) * gradients.mean(axis=0)
    return integral


def exact_shapley(
    model: Function, row: NDArray[np.float64], references: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Shapley values [F, C] of one row by enumeration; absent features take a reference's values.

    `model` maps [N, F] to [N, C].
    """
    features = len(row)

    def worth(coalition: tuple[int, ...]) -> NDArray[np.float64]:
        rows = references.copy()
        rows[:, coalition] = row[list(coalition)]
        return weights @ model(rows)

    values = []
    for player in range(features):
        others = [i for i in range(features) if i != player]
        total = np.zeros_like(worth(()))
        for size in range(features):
            weight = factorial(size) * factorial(features - size - 1) / factorial(features)
            for coalition in combinations(others, size):
                total += weight * (worth((*coalition, player)) - worth(coalition))
        values.append(total)
    return np.array(values)
