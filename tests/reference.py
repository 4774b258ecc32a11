"""Slow, obvious oracles in float64."""

from collections.abc import Callable

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
