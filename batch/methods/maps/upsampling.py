"""Upsampling: from one value per position, after convolution and pooling, to one value per feature."""

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import row_shape

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


def row_upsampling(positions: int, inputs: Sequence[Input]) -> NDArray[np.float32]:
    """What `upsampling` gives for the cells of a row, [positions, P]; all features of a step have the step's value."""
    parts = []
    for length, *rest in map(row_shape, inputs):
        parts.append(np.repeat(upsampling(positions, length), math.prod(rest), axis=1))
    return np.concatenate(parts, axis=1)


def warn_if_constant(method: str, positions: int) -> None:
    """Warn if there is only one position, which cannot tell features apart."""
    if positions == 1:
        logger.warning(
            "%s: the model has pooled its features to a single position, so every feature of a row gets the same value",
            method,
        )
