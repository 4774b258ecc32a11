"""Networks of the sweep: resizing."""

import torch
from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case, layer

CASES = {
    "nn.Unfold": layer(lambda: nn.Unfold(2), (1, 2, 4)),
    "nn.Fold": layer(lambda: nn.Fold((2, 3), 2), (4, 2)),
    "nn.PixelShuffle": layer(lambda: nn.PixelShuffle(2), (4, 1, 2)),
    "nn.PixelUnshuffle": layer(lambda: nn.PixelUnshuffle(2), (1, 2, 4)),
    "nn.ChannelShuffle": layer(lambda: nn.ChannelShuffle(2), (4, 1, 2)),
    "nn.Upsample nearest1d": layer(lambda: nn.Upsample(scale_factor=2), (1, 8)),
    "nn.Upsample linear": layer(lambda: nn.Upsample(scale_factor=2, mode="linear"), (1, 8)),
    "nn.Upsample linear ac": layer(lambda: nn.Upsample(size=13, mode="linear", align_corners=True), (1, 8)),
    "nn.Upsample bilinear": layer(lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 4)),
    "nn.Upsample bicubic": layer(lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (1, 2, 4)),
    "nn.Upsample trilinear": layer(lambda: nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 2, 2)),
    "nn.Upsample nearest2d": layer(lambda: nn.Upsample(scale_factor=2), (1, 2, 4)),
    "nn.Upsample nearest-exact": layer(lambda: nn.Upsample(size=11, mode="nearest-exact"), (1, 8)),
    "grid_sample": Case(
        lambda net, x: F.grid_sample(x, net.g.expand(x.shape[0], -1, -1, -1)),
        shape=(1, 2, 4),
        parts=lambda: {"g": nn.Parameter(torch.rand(1, 2, 2, 2) - 0.5)},
    ),
}
