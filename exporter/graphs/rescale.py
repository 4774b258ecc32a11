"""A linear step from what a network learned to the unit of its targets."""

from torch import Tensor, nn


class Rescale(nn.Module):
    """value * scale + offset, by column.

    Args:
        scale: [K] float32.
        offset: [K] float32.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, values: Tensor) -> Tensor:
        """[N, K] float32 in and out."""
        return values * self.scale + self.offset
