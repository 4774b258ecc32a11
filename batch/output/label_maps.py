"""The columns of a row's segments: a picture of the size that the model sees, whose grey levels number them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.methods.players import Labels
from whyport.batch.methods.positions import Positions
from whyport.runtime.extras import needs

SEGMENTS = "segments"
MAP_BYTES = 4096
"""About the bytes of a map, of a picture of 224 x 224 pixels in 50 segments."""


@dataclass(frozen=True)
class SegmentColumns:
    """For each picture whose segments have shares: `segments`, a PNG file in which level k is segment k.

    Of several inputs it is `segments.<input>`. The levels are of 8 bits, or of 16 where a picture has more segments.
    """

    inputs: tuple[str, ...]
    """The pictures, by the inputs' names."""
    is_alone: bool
    """Whether the picture is the only input."""

    @classmethod
    def of(cls, positions: Positions) -> "SegmentColumns":
        """The columns of a run whose shares have these positions."""
        return cls(tuple(block.input for block in positions.segmented), len(positions.blocks) == 1)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns, in order."""
        return [pa.field(self.name(each), pa.binary()) for each in self.inputs]

    def name(self, picture: str) -> str:
        """The name of a picture's column."""
        return SEGMENTS if self.is_alone else f"{SEGMENTS}.{picture}"

    def arrays(self, labels: Sequence[Labels]) -> Iterator[pa.Array]:
        """The arrays of `fields`, from the segments of the explained rows."""
        for each in self.inputs:
            yield pa.array([png_of(own[each]) for own in labels], pa.binary())

    def counts(self, labels: Sequence[Labels]) -> dict[str, NDArray[np.int64]]:
        """The number of segments of each row's picture, [N], by the input's name."""
        return {
            each: np.array([int(own[each].max()) + 1 for own in labels], dtype=np.int64).reshape(-1)
            for each in self.inputs
        }


@needs("images")
def png_of(labels: NDArray[np.int64]) -> bytes:
    """Labels [H, W] as a PNG file of grey levels; raises MissingPackageError without Pillow."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16)).save(file, "PNG")
    return file.getvalue()


@needs("images")
def labels_of(png: bytes) -> NDArray[np.int64]:
    """The labels [H, W] of a file that `png_of` has made; raises MissingPackageError without Pillow."""
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        return np.asarray(image).astype(np.int64)
