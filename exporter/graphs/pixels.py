"""Pixels as a network takes them: scaled, and in its order of axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whyport.runtime.inputs.feeds import PIXEL


@dataclass(frozen=True)
class PixelScale:
    """What becomes of the pixels of an image before the network sees them."""

    mean: tuple[float, ...]
    """The mean of each channel that is taken off, in units of the largest pixel."""
    deviation: tuple[float, ...]
    """The deviation of each channel that the rest is divided by, not 0, in the same units."""
    channels_first: bool = True
    """Whether the network takes [N, channels, height, width]; otherwise [N, height, width, channels]."""


class ScalePixels(nn.Module):
    """Pixels from 0 to 255 to (pixel / 255 - mean) / deviation.

    Args:
        scale: mean and deviation of each channel, and the order of the axes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, scale: PixelScale) -> None:
        super().__init__()
        self.register_buffer("mean", _row(scale.mean), persistent=False)
        self.register_buffer("deviation", _row(scale.deviation), persistent=False)
        self.channels_first = scale.channels_first

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, height, width, channels] float32 to [N, channels, height, width], or in the order that it came."""
        scaled = (pixels / PIXEL - self.mean) / self.deviation
        return scaled.permute(0, 3, 1, 2).contiguous() if self.channels_first else scaled


def _row(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
