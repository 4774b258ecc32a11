"""Networks of the sweep: normalisation."""

from torch import nn

from support.sweep.network import layer

CASES = {
    "nn.BatchNorm1d": layer(lambda: nn.BatchNorm1d(8)),
    "nn.BatchNorm1d(3d)": layer(lambda: nn.BatchNorm1d(2), (2, 4)),
    "nn.BatchNorm2d": layer(lambda: nn.BatchNorm2d(2), (2, 2, 2)),
    "nn.BatchNorm1d(no stats)": layer(
        lambda: nn.BatchNorm1d(8, track_running_stats=False), refusal="torch.export cannot take the network"
    ),
    "nn.LayerNorm": layer(lambda: nn.LayerNorm(8)),
    "nn.LayerNorm(2d)": layer(lambda: nn.LayerNorm((2, 4)), (2, 4)),
    "nn.LayerNorm(no affine)": layer(lambda: nn.LayerNorm(8, elementwise_affine=False)),
    "nn.RMSNorm": layer(lambda: nn.RMSNorm(8)),
    "nn.GroupNorm": layer(lambda: nn.GroupNorm(2, 4), (4, 2)),
    "nn.GroupNorm(1d feats)": layer(lambda: nn.GroupNorm(2, 8)),
    "nn.InstanceNorm1d": layer(lambda: nn.InstanceNorm1d(2), (2, 4)),
    "nn.InstanceNorm1d(affine)": layer(lambda: nn.InstanceNorm1d(2, affine=True), (2, 4)),
    "nn.InstanceNorm1d(stats)": layer(lambda: nn.InstanceNorm1d(2, affine=True, track_running_stats=True), (2, 4)),
    "nn.InstanceNorm2d": layer(lambda: nn.InstanceNorm2d(2), (2, 2, 2)),
    "nn.LocalResponseNorm": layer(lambda: nn.LocalResponseNorm(2), (4, 2)),
    "nn.CrossMapLRN2d": layer(lambda: nn.CrossMapLRN2d(2), (4, 1, 2), refusal="torch.export cannot take the network"),
}
