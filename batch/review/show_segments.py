"""A row's segments in words: their places, and a small grid with signs for a terminal."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import GRID
from whyport.batch.methods.positions import Positions
from whyport.batch.output.label_maps import SegmentColumns, labels_of
from whyport.batch.review.show_pictures import coarse, grid_lines


def segment_places(positions: Positions, columns: SegmentColumns, values: dict[str, Any]) -> dict[str, str]:
    """The pixels that each segment of a row lies between, and how many it has, by the name of its share.

    Args:
        positions: the positions of the shares.
        columns: the columns of the run's segments.
        values: the row's output.
    """
    found = {}
    for block in positions.segmented:
        content = values[columns.name(block.input)]
        if content is None:  # a row that is not explained
            continue
        labels = labels_of(content)
        for k in range(int(labels.max()) + 1):
            y, x = np.nonzero(labels == k)
            place = f"y {y.min()} to {y.max()}, x {x.min()} to {x.max()}, {len(y)} pixels"
            found[positions.names[block.start + k]] = place
    return found


def segment_lines(
    positions: Positions, columns: SegmentColumns, values: dict[str, Any], shares: NDArray[np.float64]
) -> Iterator[str]:
    """Where the segments of each picture raise or lower.

    Args:
        positions: the positions of the shares.
        columns: the columns of the run's segments.
        values: the row's output.
        shares: all shares of the row, [G].
    """
    for block in positions.segmented:
        labels = labels_of(values[columns.name(block.input)])
        sizes = np.bincount(labels.ravel())
        own = block.of(shares)[: len(sizes)]
        yield f"  {block.input}, in pixels: what spoke for it, and against"
        # Each pixel has its part of its segment's share, so that a field of the small grid has a sum.
        yield from grid_lines(coarse((own / sizes)[labels], GRID))
