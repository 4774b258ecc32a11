"""Segments of like colour: SLIC, by scikit-image."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.segments.segmenter import Segmenter
from whyport.runtime.extras import needs

COMPACTNESS = {"grey": 0.1, "colour": 10.0}
"""How much places count beside colours. Grey levels go from 0 to 1, and the lightness of a colour to 100."""

MIN_SIZE = 0.5
"""The least size of a segment, as a share of the mean one: a smaller one joins a neighbour."""


class SlicSegmenter(Segmenter):
    """Clusters of pixels by colour and place, made connected; Achanta et al. 2012, doi:10.1109/TPAMI.2012.120.

    Raises MissingPackageError without scikit-image.
    """

    @needs("segments")
    def most(self, height: int, width: int) -> int:
        from skimage.util import regular_grid

        # The clusters begin on this grid, and what is smaller than the least size joins a neighbour.
        along_y, along_x = regular_grid((height, width), self.count)  # type: ignore[no-untyped-call]
        centres = len(range(*along_y.indices(height))) * len(range(*along_x.indices(width)))
        pixels = height * width
        return min(pixels, 1 + pixels // max(1, int(MIN_SIZE * pixels / max(1, centres))))

    @needs("segments")
    def labels(self, picture: NDArray[np.float32]) -> NDArray[np.int64]:
        from skimage.segmentation import slic

        is_grey = picture.shape[2] == 1
        found = slic(
            (picture[..., 0] if is_grey else picture).astype(np.float64),
            n_segments=self.count,
            compactness=COMPACTNESS["grey" if is_grey else "colour"],
            min_size_factor=MIN_SIZE,
            start_label=0,
            channel_axis=None if is_grey else -1,
        )
        _, labels = np.unique(found, return_inverse=True)
        return labels.reshape(found.shape).astype(np.int64)
