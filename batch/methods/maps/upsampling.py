"""Upsampling: from one value per position, after convolution and pooling, to one value per feature."""

import logging

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)


def upsampling(positions: int, features: int) -> NDArray[np.float32]:
    """Linear interpolation as a matrix [positions, features].

    The centres of positions and of features are spread over the same length. Features beyond the outermost positions
    take their values, as in torch's interpolate(mode="linear", align_corners=False).
    """
    place = np.clip((np.arange(features) + 0.5) * positions / features - 0.5, 0, positions - 1)
    apart = np.abs(place - np.arange(positions)[:, None])
    weights: NDArray[np.float32] = np.maximum(0, 1 - apart).astype(np.float32)
    return weights


def warn_if_constant(method: str, positions: int) -> None:
    """Warn if there is only one position, which cannot tell features apart."""
    if positions == 1:
        logger.warning(
            "%s: the model has pooled its features to a single position, so every feature of a row gets the same value",
            method,
        )
