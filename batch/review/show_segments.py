"""A row's segments in words: the strongest with their places, and a small grid with signs for a terminal."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import GRID
from whyport.batch.methods.positions import Positions
from whyport.batch.output.label_maps import SegmentColumns, labels_of
from whyport.batch.review.show_pictures import coarse, grid_lines


def segment_lines(
    positions: Positions, columns: SegmentColumns, values: dict[str, Any], shares: NDArray[np.float64], top: int
) -> Iterator[str]:
    """The strongest segments of each picture with the pixels that they lie between, and where shares raise or lower.

    Args:
        positions: the positions of the shares.
        columns: the columns of the run's segments.
        values: the row's output.
        shares: all shares of the row, [G].
        top: how many segments to name.
    """
    for block in positions.segmented:
        labels = labels_of(values[columns.name(block.input)])
        sizes = np.bincount(labels.ravel())
        own = block.of(shares)[: len(sizes)]
        yield f"  {block.input}, in pixels: what spoke for it, and against"
        for k in np.argsort(-np.abs(own), kind="stable")[:top]:
            y, x = np.nonzero(labels == k)
            place = f"y {y.min()} to {y.max()}, x {x.min()} to {x.max()}"
            yield f"  {own[k]:+12.5g}  {block.input}[{k}], {place}, {sizes[k]} pixels"
        # Each pixel has its part of its segment's share, so that a field of the small grid has a sum.
        yield from grid_lines(coarse((own / sizes)[labels], GRID))
