"""Upsampling: from one value per position, after convolution and pooling, to one value per feature, or per pixel."""

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import AUTO, grid_text
from whyport.batch.methods.players import PlayerMap
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.errors import BundleError, listing

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


class Upsampling:
    """Maps [E, *shape] to a value of each player, [E, G].

    Along one axis, a player has the sum of its features'. Over y and x, interpolation is bilinear, as in torch's
    interpolate(mode="bilinear", align_corners=False), and a player has the mean of its pixels. Players that are the
    maps' own grid have the maps as they are.

    Args:
        shape: the lengths of the maps' axes, one or two.
        inputs: the model's inputs; of two axes, an image.
        players: the players.
        per: what has a share, see `per`.
        keeps_sums: whether maps over y and x are shares, of which a pixel has a part, and a player the sum.
    """

    def __init__(
        self,
        shape: Sequence[int],
        inputs: Sequence[Input],
        players: PlayerMap,
        per: str = AUTO,
        *,
        keeps_sums: bool = False,
    ) -> None:
        self._players = players
        self._are_kept = is_own(shape, players, per)
        self._axes: list[NDArray[np.float32]] = []
        self._channels = 1
        if len(shape) == 1:
            self._matrix = players.sum_columns(row_upsampling(shape[0], inputs))
            return
        if len(inputs) != 1 or len(sizes := row_shape(inputs[0])) < len(shape):
            names = listing(each.name for each in inputs)
            raise BundleError(f"maps over y and x: expected an image as the only input, got {names}")
        self._axes = [upsampling(*lengths) for lengths in zip(shape, sizes, strict=False)]
        self._channels = math.prod(sizes[len(shape) :])
        self._counts = players.sum_cells(np.ones(math.prod(sizes), dtype=np.float32))
        if keeps_sums:
            self._axes = [weights / weights.sum(axis=1, keepdims=True) for weights in self._axes]
            self._counts = np.full(len(players), self._channels, dtype=np.float32)

    def __call__(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        values: NDArray[np.float32]
        if self._are_kept:
            return maps.reshape(len(maps), -1)
        if not self._axes:
            values = maps @ self._matrix
            return values
        of_y, of_x = self._axes
        pixels = of_y.T @ (maps @ of_x)
        cells = np.repeat(pixels.reshape(len(maps), -1), self._channels, axis=1)
        values = self._players.sum_cells(cells) / self._counts
        return values


def is_own(shape: Sequence[int], players: PlayerMap, per: str) -> bool:
    """Whether the players are the fields of the maps' own grid."""
    return not players.are_grouped and per == grid_text(tuple(shape))


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
