"""A row's pictures in words: the strongest places, and a small grid with signs for a terminal."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import GRID
from whyport.batch.methods.positions import Positions

SHADES = " ░▒▓█"
"""How large a sum is within its picture, in quarters; a sign stands before each."""


def picture_lines(
    positions: Positions, shares: NDArray[np.float64], top: int, sizes: Mapping[str, tuple[int, int]]
) -> Iterator[str]:
    """The strongest patches of each picture with their places in pixels, and the grid of all of them.

    Args:
        positions: the positions of the shares.
        shares: all shares of a row, [G].
        top: how many patches to name.
        sizes: the height and width in pixels of each picture that is known.
    """
    for block in positions.pictures:
        cells = block.of(shares).reshape(*block.shape[:2], -1).sum(axis=2)
        grid = coarse(cells, GRID)
        size = sizes.get(block.input, block.shape[:2])
        unit = "pixels" if block.input in sizes else "places of the grid"
        yield f"  {block.input}, in {unit}: what spoke for it, and against"
        for i in np.argsort(-np.abs(grid), axis=None, kind="stable")[:top]:
            at = np.unravel_index(int(i), grid.shape)
            (top_y, end_y), (left_x, end_x) = (
                _range(int(k), count, length) for k, count, length in zip(at, grid.shape, size, strict=True)
            )
            yield f"  {grid[at]:+12.5g}  y {top_y} to {end_y}, x {left_x} to {end_x}"
        yield from grid_lines(grid)


def grid_lines(grid: NDArray[np.float64]) -> Iterator[str]:
    """The sums [y, x] as text: a sign, and the darker the larger."""
    largest = float(np.abs(grid).max(initial=0.0)) or 1.0
    shades = np.ceil(np.abs(grid) / largest * 4 - 0.5).clip(0, 4).astype(int)
    for values, own in zip(grid, shades, strict=True):
        cells = (
            "  " if not shade else f"{'+' if value > 0 else '-'}{SHADES[shade]}"
            for value, shade in zip(values, own, strict=True)
        )
        yield f"  |{''.join(cells)}|"


def coarse(cells: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Sums of neighbouring cells [y, x], of which there are at most `most` along an axis."""
    for axis in (0, 1):
        length = cells.shape[axis]
        count = min(length, most)
        starts = np.searchsorted(np.arange(length) * count // length, np.arange(count))
        cells = np.add.reduceat(cells, starts, axis=axis)
    return cells


def _range(k: int, count: int, length: int) -> tuple[int, int]:
    """The first and the last pixel of patch `k` of `count` along an axis."""
    return -(-k * length // count), -(-(k + 1) * length // count) - 1
