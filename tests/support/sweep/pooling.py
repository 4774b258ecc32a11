"""Networks of the sweep: pooling."""

from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case, layer

CASES = {
    "nn.MaxPool1d": layer(lambda: nn.MaxPool1d(2), (1, 8)),
    "nn.MaxPool1d(3,1 overlap)": layer(lambda: nn.MaxPool1d(3, 1), (1, 8)),
    "nn.MaxPool1d(3,2,pad1,ceil)": layer(lambda: nn.MaxPool1d(3, 2, 1, ceil_mode=True), (1, 8)),
    "nn.MaxPool1d(dil2)": layer(lambda: nn.MaxPool1d(2, 1, dilation=2), (1, 8)),
    "nn.MaxPool2d": layer(lambda: nn.MaxPool2d(2), (1, 2, 4)),
    "nn.MaxPool2d(2,1)": layer(lambda: nn.MaxPool2d(2, 1), (1, 2, 4)),
    "nn.MaxPool3d": layer(lambda: nn.MaxPool3d(2), (1, 2, 2, 2)),
    "nn.AvgPool1d": layer(lambda: nn.AvgPool1d(2), (1, 8)),
    "nn.AvgPool1d(ceil,nopad)": layer(lambda: nn.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 8)),
    "nn.AvgPool2d(div)": layer(lambda: nn.AvgPool2d(2, 1, divisor_override=3), (1, 2, 4)),
    "nn.AvgPool3d": layer(lambda: nn.AvgPool3d(2), (1, 2, 2, 2)),
    "nn.AdaptiveAvgPool1d(3)": layer(lambda: nn.AdaptiveAvgPool1d(3), (1, 8)),
    "nn.AdaptiveAvgPool1d(1)": layer(lambda: nn.AdaptiveAvgPool1d(1), (2, 4)),
    "nn.AdaptiveAvgPool2d": layer(lambda: nn.AdaptiveAvgPool2d((1, 3)), (1, 2, 4)),
    "nn.AdaptiveAvgPool3d": layer(lambda: nn.AdaptiveAvgPool3d(1), (1, 2, 2, 2)),
    "nn.AdaptiveMaxPool1d(3)": layer(lambda: nn.AdaptiveMaxPool1d(3), (1, 8)),
    "nn.AdaptiveMaxPool2d": layer(lambda: nn.AdaptiveMaxPool2d((1, 3)), (1, 2, 4)),
    "nn.AdaptiveMaxPool3d": layer(lambda: nn.AdaptiveMaxPool3d(1), (1, 2, 2, 2)),
    "nn.LPPool1d": layer(lambda: nn.LPPool1d(2, 2), (1, 8)),
    "nn.LPPool1d(3)": Case(
        lambda net, x: net.layer(x), (1, 8), positive=True, parts=lambda: {"layer": nn.LPPool1d(3, 2)}
    ),
    "nn.LPPool2d": layer(lambda: nn.LPPool2d(2, 2), (1, 2, 4)),
    "nn.FractionalMaxPool2d": layer(
        lambda: nn.FractionalMaxPool2d(2, output_size=(1, 2)), (1, 2, 4), refusal="aten.fractional_max_pool2d.default"
    ),
    "max_unpool": Case(
        lambda net, x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2),
        shape=(1, 8),
        refusal="aten.max_pool2d_with_indices.default",
    ),
}
