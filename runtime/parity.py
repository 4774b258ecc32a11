"""The deviation between two engines' results for the same rows."""

import numpy as np
from numpy.typing import NDArray


def deviation(got: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The largest |got - expected| / max(1, |expected|); infinite where one is NaN or infinite and the other is not.

    Both arrays have the same shape; empty arrays have deviation 0.
    """
    return float(row_deviations(got, expected).max(initial=0.0))


def share_deviation(got: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The largest |got - expected| / max(1, largest |expected| of the row), of shares of one score or its gradients.

    The last axis is a row's shares. They are sums of terms as large as the largest share, and rounded as these are: a
    small share of a large score is not known to its own last digits. NaN and infinity count as in `deviation`.
    """
    finite = np.where(np.isfinite(expected), np.abs(expected), 0.0).astype(np.float64)
    scale = np.maximum(1.0, finite.max(axis=-1, keepdims=True, initial=0.0))
    return deviation(got / scale, expected / scale) if got.shape == expected.shape else deviation(got, expected)


def map_deviation(got: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The same of maps [N, K, y, x], of which all of a row have one scale."""
    if got.shape != expected.shape:
        return deviation(got, expected)
    return share_deviation(got.reshape(len(got), -1), expected.reshape(len(expected), -1))


def row_deviations(
    got: NDArray[np.floating], expected: NDArray[np.floating], scale: float | NDArray[np.float64] = 1.0
) -> NDArray[np.float64]:
    """The largest |got - expected| / max(scale, |expected|) in each row (first axis), [N] float64.

    `scale` is above 0, and of a shape that fits the others.
    """
    if got.shape != expected.shape:
        raise ValueError(f"expected equal shapes, got {got.shape} and {expected.shape}")
    with np.errstate(invalid="ignore"):
        got, expected = got.astype(np.float64), expected.astype(np.float64)
        relative = np.abs(got - expected) / np.maximum(scale, np.abs(expected))
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    relative = np.where(same, 0.0, np.where(np.isfinite(relative), relative, np.inf))
    rows: NDArray[np.float64] = relative.max(axis=tuple(range(1, relative.ndim)), initial=0.0)
    return rows
