"""Operators of ONNX that slide a window: convolutions and pools of one to three axes."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from whyport.exporter.networks.operators import Attributes, operator

CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
MAXIMA = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
MEANS = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


@operator("Conv")
def _convolve(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    axes = weight.ndim - 2
    before, after = _pads(attributes, x, list(weight.shape[2:]))
    if before != after:
        x, before = functional.pad(x, _padding(before, after)), [0] * axes
    strides, dilations = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    return CONVOLUTIONS[axes - 1](x, weight, bias, strides, before, dilations, attributes.get("group", 1))


@operator("ConvTranspose")
def _convolve_transposed(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    axes = weight.ndim - 2
    attributes.allow(auto_pad="NOTSET", output_shape=None)
    pads = attributes.get("pads", [0] * 2 * axes)
    if pads[:axes] != pads[axes:]:
        attributes.refuse(f"with pads {pads}")
    strides, dilations = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    further = attributes.get("output_padding", [0] * axes)
    return TRANSPOSED[axes - 1](
        x, weight, bias, strides, pads[:axes], further, attributes.get("group", 1), dilations
    )  # fmt: skip


@operator("MaxPool")
def _largest(attributes: Attributes, x: Tensor) -> Tensor:
    window = attributes.get("kernel_shape")
    axes = len(window)
    before, after = _pads(attributes, x, window)
    if before != after or any(2 * pad > size for pad, size in zip(before, window, strict=True)):
        x, before = functional.pad(x, _padding(before, after), value=-math.inf), [0] * axes
    strides, dilations = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    return MAXIMA[axes - 1](x, window, strides, before, dilations, bool(attributes.get("ceil_mode", 0)))


@operator("AveragePool")
def _average(attributes: Attributes, x: Tensor) -> Tensor:
    window = attributes.get("kernel_shape")
    axes = len(window)
    attributes.allow(dilations=[1] * axes)
    before, after = _pads(attributes, x, window)
    counts_pads = bool(attributes.get("count_include_pad", 0))
    if before != after:
        if not counts_pads:
            attributes.refuse(f"with pads {[*before, *after]}")
        x, before = functional.pad(x, _padding(before, after)), [0] * axes
    strides = attributes.get("strides", [1] * axes)
    return MEANS[axes - 1](x, window, strides, before, bool(attributes.get("ceil_mode", 0)), counts_pads)


@operator("GlobalAveragePool")
def _average_of_all(attributes: Attributes, x: Tensor) -> Tensor:
    return x.mean(list(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def _largest_of_all(attributes: Attributes, x: Tensor) -> Tensor:
    return x.amax(list(range(2, x.ndim)), keepdim=True)


def _pads(attributes: Attributes, x: Tensor, window: Sequence[int]) -> tuple[list[int], list[int]]:
    """The padding in front and behind, by axis."""
    axes = len(window)
    automatic = attributes.get("auto_pad", "NOTSET")
    if not automatic.startswith("SAME"):
        pads = list(attributes.get("pads", [0] * 2 * axes))
        return pads[:axes], pads[axes:]
    strides, dilations = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    before, after = [], []
    for i in range(axes):
        size = int(x.shape[2 + i])
        whole = max(0, (-(-size // strides[i]) - 1) * strides[i] + (window[i] - 1) * dilations[i] + 1 - size)
        smaller, larger = whole // 2, whole - whole // 2
        before.append(smaller if automatic == "SAME_UPPER" else larger)
        after.append(larger if automatic == "SAME_UPPER" else smaller)
    return before, after


def _padding(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """The padding as PyTorch takes it, the last axis first."""
    return [pad for both in reversed(list(zip(before, after, strict=True))) for pad in both]
