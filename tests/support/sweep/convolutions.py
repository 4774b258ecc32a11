"""Networks of the sweep: convolutions."""

from torch import nn

from support.sweep.network import layer

CASES = {
    "nn.Conv1d": layer(lambda: nn.Conv1d(1, 3, 3), (1, 8)),
    "nn.Conv1d(stride2,pad1,dil2)": layer(lambda: nn.Conv1d(2, 3, 2, 2, 1, 2), (2, 4)),
    "nn.Conv1d(same even)": layer(lambda: nn.Conv1d(1, 3, 4, padding="same"), (1, 8)),
    "nn.Conv1d(circular)": layer(lambda: nn.Conv1d(1, 3, 3, padding=1, padding_mode="circular"), (1, 8)),
    "nn.Conv1d(reflect)": layer(lambda: nn.Conv1d(1, 3, 3, padding=1, padding_mode="reflect"), (1, 8)),
    "nn.Conv1d(replicate)": layer(lambda: nn.Conv1d(1, 3, 3, padding=1, padding_mode="replicate"), (1, 8)),
    "nn.Conv1d(groups)": layer(lambda: nn.Conv1d(2, 4, 3, groups=2), (2, 4)),
    "nn.Conv2d": layer(lambda: nn.Conv2d(1, 3, 2), (1, 2, 4)),
    "nn.Conv2d(dw)": layer(lambda: nn.Conv2d(2, 2, 2, groups=2, bias=False), (2, 2, 2)),
    "nn.Conv3d": layer(lambda: nn.Conv3d(1, 2, 2), (1, 2, 2, 2)),
    "nn.ConvTranspose1d": layer(lambda: nn.ConvTranspose1d(1, 3, 3, 2), (1, 8)),
    "nn.ConvTranspose1d(out_pad)": layer(lambda: nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, groups=2), (2, 4)),
    "nn.ConvTranspose1d(dil2,stride1,out_pad1)": layer(
        lambda: nn.ConvTranspose1d(1, 3, 3, 1, 0, 1, dilation=2), (1, 8)
    ),
    "nn.ConvTranspose2d": layer(lambda: nn.ConvTranspose2d(1, 2, 2, 2), (1, 2, 4)),
    "nn.ConvTranspose3d": layer(lambda: nn.ConvTranspose3d(1, 2, 2, 2), (1, 2, 2, 2)),
}
