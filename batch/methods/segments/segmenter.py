"""The interface of what cuts a picture into segments, and the choice of a run, as text."""

import re
from abc import ABC, abstractmethod
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

GRID, SLIC = "grid", "slic"

SEGMENTERS = {
    GRID: "whyport.batch.methods.segments.grid:GridSegmenter",
    SLIC: "whyport.batch.methods.segments.slic:SlicSegmenter",
}

COUNT = 50
"""The number of segments that a picture is cut into, about, unless a run asks for another."""

MOST_ASKED = 9999

CHOICE = rf"(?:{'|'.join(SEGMENTERS)}):[1-9][0-9]{{0,3}}"
"""The segments of a run as text: the segmenter's name, and about how many segments a picture has."""


class Segmenter(ABC):
    """Cuts pictures into segments, by nothing but the picture: the same one is always cut in the same way.

    Args:
        count: about how many segments to make; from 1 to 9999.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    @abstractmethod
    def most(self, height: int, width: int) -> int:
        """The most segments that any picture of a size is cut into."""

    @abstractmethod
    def labels(self, picture: NDArray[np.float32]) -> NDArray[np.int64]:
        """The segment of each pixel [H, W], of a picture [H, W, C] of finite numbers; all from 0 to the last occur."""

    def example(self, height: int, width: int) -> NDArray[np.int64]:
        """Labels [H, W] of as many segments as a picture of a size can have, along its pixels."""
        pixels = height * width
        return (np.arange(pixels) * self.most(height, width) // pixels).reshape(height, width)


def choice_text(name: str, count: int) -> str:
    """The segments of a run, as `segmenter_of` reads them."""
    return f"{name}:{count}"


def segmenter_of(choice: str) -> Segmenter | None:
    """The segmenter behind a run's choice; None for what is no choice of segments."""
    if re.fullmatch(CHOICE, choice) is None:
        return None
    name, count = choice.split(":")
    module, attribute = SEGMENTERS[name].split(":")
    found: Segmenter = getattr(import_module(module), attribute)(int(count))
    return found
