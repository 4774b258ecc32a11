"""Views of pictures that a map is averaged over: mirrored, darker and brighter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.errors import UsageError, listing

BRIGHTNESS = (1.0, 0.9, 1.1)
"""What pixels are multiplied with in the first six views, each as it is and mirrored: pytorch_grad_cam's aug_smooth."""


@dataclass(frozen=True)
class View:
    """One view of every picture."""

    is_mirrored: bool
    """Whether left and right are exchanged."""
    brightness: float
    """The number that every pixel is multiplied with; nothing is cut off."""

    def of(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """The view of pictures [N, height, width, channels]."""
        seen = pictures[:, :, ::-1] if self.is_mirrored else pictures
        return seen if self.brightness == 1 else seen * np.float32(self.brightness)

    def back(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps of the view, [..., y, x], as maps of the picture."""
        return maps[..., ::-1] if self.is_mirrored else maps


class Views:
    """Views of the rows of a model of pictures.

    Args:
        inputs: the model's inputs.
        count: the number of views; 1 is the picture itself.
        seed: for the brightness of the views beyond the first six, drawn between 0.9 and 1.1.

    Raises:
        UsageError: several views of a model that takes something else than one picture.
    """

    def __init__(self, inputs: Sequence[Input], count: int, seed: int) -> None:
        pictures = [each for each in inputs if isinstance(each.prepare, ImagePreparation)]
        if count > 1 and (len(pictures) != 1 or len(inputs) != 1):
            kinds = listing(each.prepare.kind for each in inputs)
            raise UsageError(f"augment: expected a model whose only input is an image, got one of {kinds}")
        self._shape = row_shape(inputs[0])
        self.views = views(count, seed)

    def __len__(self) -> int:
        return len(self.views)

    def of(self, view: View, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """One view of rows [N, F]."""
        if view == View(False, 1.0):
            return rows
        seen = view.of(rows.reshape(len(rows), *self._shape))
        return np.ascontiguousarray(seen.reshape(len(rows), -1))


def views(count: int, seed: int) -> tuple[View, ...]:
    """The picture itself, its mirror image, and both in other brightness."""
    drawn = np.random.default_rng(seed).uniform(0.9, 1.1, size=max(0, count - 2 * len(BRIGHTNESS) + 1) // 2)
    found = [View(is_mirrored, float(b)) for b in (*BRIGHTNESS, *drawn) for is_mirrored in (False, True)]
    return tuple(found[:count])
