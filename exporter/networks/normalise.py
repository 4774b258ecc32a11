"""Operators of ONNX that normalise: by a batch's statistics, over axes, over groups, to sums of 1."""

import torch
from torch import Tensor
from torch.nn import functional

from whyport.exporter.networks.operators import Attributes, operator

SMALLEST = 1e-30
"""A vector of zeros is divided by this, and stays one."""


@operator("Softmax")
def _softmax(attributes: Attributes, x: Tensor) -> Tensor:
    return torch.softmax(x, _softmax_axis(attributes, x))


@operator("LogSoftmax")
def _log_softmax(attributes: Attributes, x: Tensor) -> Tensor:
    return torch.log_softmax(x, _softmax_axis(attributes, x))


def _softmax_axis(attributes: Attributes, x: Tensor) -> int:
    """The one axis; before opset 13 all axes behind the given one were taken together."""
    if attributes.opset >= 13:
        return int(attributes.get("axis", -1))
    axis = int(attributes.get("axis", 1)) % x.ndim
    if axis != x.ndim - 1:
        attributes.refuse(f"of opset {attributes.opset} over several axes")
    return axis


@operator("BatchNormalization")
def _batch(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    attributes.allow(training_mode=0, spatial=1)
    return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, attributes.get("epsilon", 1e-5))


@operator("LayerNormalization")
def _layer(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    shape = list(x.shape[attributes.get("axis", -1) % x.ndim :])
    return functional.layer_norm(x, shape, weight, bias, attributes.get("epsilon", 1e-5))


@operator("RMSNormalization")
def _root_mean_square(attributes: Attributes, x: Tensor, weight: Tensor) -> Tensor:
    axes = list(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    return x / torch.sqrt((x * x).mean(axes, keepdim=True) + attributes.get("epsilon", 1e-5)) * weight


@operator("InstanceNormalization")
def _instance(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.group_norm(x, x.shape[1], weight, bias, attributes.get("epsilon", 1e-5))


@operator("GroupNormalization")
def _group(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    groups = attributes.get("num_groups")
    if attributes.opset < 21:  # a weight for each group, not for each channel
        weight, bias = (each.repeat_interleave(x.shape[1] // groups) for each in (weight, bias))
    return functional.group_norm(x, groups, weight, bias, attributes.get("epsilon", 1e-5))


@operator("LpNormalization")
def _to_length_one(attributes: Attributes, x: Tensor) -> Tensor:
    order, axis = attributes.get("p", 2), attributes.get("axis", -1)
    length = x.abs().sum(axis, keepdim=True) if order == 1 else torch.linalg.vector_norm(x, 2, axis, keepdim=True)
    return x / length.clamp_min(SMALLEST)
