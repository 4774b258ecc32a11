"""MobileNetV2 in Keras's layout as a PyTorch network, and weights out of a file of Keras."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SIZE, CLASSES = 160, 19
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of each stage: how many times wider its blocks are inside, its channels, its blocks, and the stride of the first."""
BLOCKS = "mobilenetv2_1.00_160"
"""The name of all layers before the head, in the file."""


class Convolution(nn.Sequential):
    """Convolution and batch normalisation; Keras pads at the right and the bottom alone where the stride is 2."""

    def __init__(
        self, inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1, bounded: bool = True
    ) -> None:
        layers: list[nn.Module] = [nn.ZeroPad2d((0, 1, 0, 1))] if stride == 2 else []
        padding = 0 if stride == 2 else size // 2
        layers.append(nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False))
        layers.append(nn.BatchNorm2d(outputs, eps=1e-3))
        super().__init__(*layers, *([nn.ReLU6()] if bounded else []))


class Block(nn.Module):
    """An inverted residual: wider, convolved a channel at a time, and narrow again."""

    def __init__(self, inputs: int, outputs: int, stride: int, times: int) -> None:
        super().__init__()
        inner = inputs * times
        self.expand = Convolution(inputs, inner, 1) if times > 1 else None
        self.depthwise = Convolution(inner, inner, 3, stride=stride, groups=inner)
        self.project = Convolution(inner, outputs, 1, bounded=False)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        inner = maps if self.expand is None else self.expand(maps)
        found: Tensor = self.project(self.depthwise(inner))
        return maps + found if self.adds else found


class Breeds(nn.Module):
    """[N, 3, 160, 160] from -1 to 1, to the scores of 19 breeds, [N, 19]."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Convolution(3, 32, 3, stride=2)
        blocks, width = [], 32
        for times, outputs, count, stride in STAGES:
            for i in range(count):
                blocks.append(Block(width, outputs, stride if i == 0 else 1, times))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.last = Convolution(width, 1280, 1)
        self.head = nn.Linear(1280, CLASSES)

    def maps(self, image: Tensor) -> Tensor:
        """[N, 3, 160, 160] to [N, 1280, 5, 5]."""
        found: Tensor = self.last(self.blocks(self.first(image)))
        return found

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.head(self.maps(image).mean((2, 3)))
        return scores


def load(path: Path) -> Breeds:
    """The network with the weights of a file of Keras, *.h5."""
    network = Breeds()
    with h5py.File(path) as file:
        weights = file["model_weights"]
        for convolution, kernel, norm in _named(network):
            _fill(convolution, weights[BLOCKS][kernel], weights[BLOCKS][norm])
        dense = weights["dense"]["dense"]
        _copy(network.head.weight, np.asarray(dense["kernel"]).T)
        _copy(network.head.bias, dense["bias"])
    return network.eval()


def _named(network: Breeds) -> Iterator[tuple[Convolution, str, str]]:
    """Every convolution, and the names of its kernel and of its normalisation in the file."""
    yield network.first, "Conv1", "bn_Conv1"
    for i, block in enumerate(network.blocks):
        for kind in ("expand", "depthwise", "project"):
            if (convolution := getattr(block, kind)) is not None:
                name = f"block_{i}_{kind}" if i else f"expanded_conv_{kind}"
                yield convolution, name, f"{name}_BN"
    yield network.last, "Conv_1", "Conv_1_bn"


def _fill(convolution: Convolution, kernel: Any, norm: Any) -> None:
    conv, batch_norm = (
        next(each for each in convolution if isinstance(each, kind)) for kind in (nn.Conv2d, nn.BatchNorm2d)
    )
    (values,) = map(np.asarray, kernel.values())
    # Keras has [height, width, in, out]; [height, width, channel, 1] where each channel is by itself.
    _copy(conv.weight, values.transpose((2, 3, 0, 1) if conv.groups > 1 else (3, 2, 0, 1)))
    own = (batch_norm.weight, batch_norm.bias, batch_norm.running_mean, batch_norm.running_var)
    for tensor, name in zip(own, ("gamma", "beta", "moving_mean", "moving_variance"), strict=True):
        _copy(tensor, norm[name])


def _copy(tensor: Any, values: NDArray[np.float32] | Any) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
