"""Networks of the sweep: padding."""

from torch import nn

from support.sweep.network import layer

CASES = {
    "nn.ReflectionPad1d": layer(lambda: nn.ReflectionPad1d(2), (1, 8)),
    "nn.ReflectionPad2d": layer(lambda: nn.ReflectionPad2d(1), (1, 2, 4)),
    "nn.ReplicationPad1d": layer(lambda: nn.ReplicationPad1d(2), (1, 8)),
    "nn.ReplicationPad2d": layer(lambda: nn.ReplicationPad2d(1), (1, 2, 4)),
    "nn.ReplicationPad3d": layer(lambda: nn.ReplicationPad3d(1), (1, 2, 2, 2)),
    "nn.ZeroPad1d": layer(lambda: nn.ZeroPad1d(2), (1, 8)),
    "nn.ConstantPad1d(neg)": layer(lambda: nn.ConstantPad1d((-1, 2), 3.0), (1, 8)),
    "nn.CircularPad1d": layer(lambda: nn.CircularPad1d(2), (1, 8)),
}
