"""From values by position, after convolution and pooling, to one value a feature."""

import logging

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)


def upsampling(positions: int, features: int) -> NDArray[np.float32]:
    """Linear interpolation as a matrix [positions, features].

    The centres of positions and of features are spread over the same length, and what lies outside the outermost
    positions has their values: as torch's interpolate(mode="linear", align_corners=False).
    """
    place = np.clip((np.arange(features) + 0.5) * positions / features - 0.5, 0, positions - 1)
    apart = np.abs(place - np.arange(positions)[:, None])
    weights: NDArray[np.float32] = np.maximum(0, 1 - apart).astype(np.float32)
    return weights


def warn_if_constant(method: str, positions: int) -> None:
    """Tell that one position leaves nothing to tell features apart by."""
    if positions == 1:
        logger.warning(
            "%s: the model has pooled its features to a single position, so every feature of a row gets the same value",
            method,
        )
