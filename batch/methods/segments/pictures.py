"""The segments of the pictures that rows of a model hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import own_per
from whyport.batch.methods.players import Labels
from whyport.batch.methods.segments.segmenter import Segmenter, segmenter_of
from whyport.runtime.bundle.row import row_shape, row_size
from whyport.runtime.bundle.sidecar import Sidecar


@dataclass(frozen=True)
class SegmentedPictures:
    """The inputs whose pictures are cut into segments, and where a row holds each."""

    segmenters: Mapping[str, Segmenter]
    """By the input's name; none where nothing is cut."""
    places: Mapping[str, slice]
    shapes: Mapping[str, tuple[int, ...]]
    """Height, width and channels."""

    @classmethod
    def of(cls, sidecar: Sidecar, per: str) -> Self:
        """The pictures of a run's rows; `per` is what has a share."""
        found: dict[str, Segmenter] = {}
        places, shapes, start = {}, {}, 0
        for each in sidecar.inputs:
            own = slice(start, start + row_size(each))
            segmenter = segmenter_of(own_per(each, per))
            if segmenter is not None:
                found[each.name], places[each.name], shapes[each.name] = segmenter, own, row_shape(each)
            start = own.stop
        return cls(found, places, shapes)

    def labels(self, row: NDArray[np.float32]) -> Labels:
        """The segments of the pictures of a row [F]."""
        return {
            name: segmenter.labels(row[self.places[name]].reshape(self.shapes[name]))
            for name, segmenter in self.segmenters.items()
        }
