"""Segments that are the fields of a grid, about square; nothing of the picture is looked at."""

import math

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.segments.segmenter import Segmenter


class GridSegmenter(Segmenter):
    """The fields of a grid over y and x, row after row."""

    def most(self, height: int, width: int) -> int:
        return math.prod(self._fields(height, width))

    def labels(self, picture: NDArray[np.float32]) -> NDArray[np.int64]:
        height, width = picture.shape[:2]
        rows, columns = self._fields(height, width)
        y, x = np.arange(height) * rows // height, np.arange(width) * columns // width
        found: NDArray[np.int64] = y[:, None] * columns + x
        return found

    def _fields(self, height: int, width: int) -> tuple[int, int]:
        """The fields along y and x: about square, their product near the number that was asked for."""
        rows = min(height, max(1, round(math.sqrt(self.count * height / width))))
        return rows, min(width, max(1, round(self.count / rows)))
