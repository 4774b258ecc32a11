"""Operators that torch.export keeps whole, written as the operators that have rules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def addmm(bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * bias + alpha * left @ right, without the factors that are 1."""
    product = torch.mm(left, right)
    return (bias if beta == 1 else beta * bias) + (product if alpha == 1 else alpha * product)


def baddbmm(bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`addmm` for batches of matrices."""
    product = torch.bmm(left, right)
    return (bias if beta == 1 else beta * bias) + (product if alpha == 1 else alpha * product)


def native_layer_norm(
    x: Tensor, shape: list[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Ba et al. 2016, arXiv:1607.06450."""
    normalised, mean, scale = _normalise(x, list(range(-len(shape), 0)), eps)
    normalised = normalised if weight is None else normalised * weight
    return normalised if bias is None else normalised + bias, mean, scale


def native_group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *sizes: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Wu & He 2018, arXiv:1803.08494."""
    rows, channels, _, groups, eps = sizes
    normalised, mean, scale = _normalise(x.reshape(rows, groups, -1), [-1], eps)
    normalised = normalised.reshape(x.shape)
    by_channel = (1, channels, *[1] * (x.ndim - 2))
    normalised = normalised if weight is None else normalised * weight.reshape(by_channel)
    normalised = normalised if bias is None else normalised + bias.reshape(by_channel)
    return normalised, mean.squeeze(-1), scale.squeeze(-1)


def instance_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, training: bool, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Ulyanov et al. 2016, arXiv:1607.08022: torch.export has made a channel of each row's channel."""
    axes = [0, *range(2, x.ndim)]
    normalised, mean, scale = _normalise(x, axes, eps)
    by_channel = (1, -1, *[1] * (x.ndim - 2))
    normalised = normalised if weight is None else normalised * weight.reshape(by_channel)
    normalised = normalised if bias is None else normalised + bias.reshape(by_channel)
    return normalised, mean.squeeze(axes), scale.squeeze(axes)


def clamp(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clipping to tensors."""
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def vector_norm(
    x: Tensor, order: float = 2, dim: list[int] | None = None, keepdim: bool = False, *, dtype: object = None
) -> Tensor:
    """(sum |x|^p)^(1/p), or the largest |x|, or how many are not 0; the Euclidean norm stays whole."""
    axes = list(range(x.ndim)) if dim is None else dim
    if order == 2:
        return NotImplemented  # type: ignore[no-any-return]
    if order == 0:
        return (x != 0).to(x.dtype).sum(axes, keepdim=keepdim)
    if abs(order) == torch.inf:
        return torch.amax(x.abs(), axes, keepdim) if order > 0 else torch.amin(x.abs(), axes, keepdim)
    return torch.pow(torch.pow(x.abs(), order).sum(axes, keepdim=keepdim), 1 / order)


def var(x: Tensor, dim: list[int] | None = None, *, correction: float | None = None, keepdim: bool = False) -> Tensor:
    """The mean of the squared deviations, over n - correction."""
    axes = dim or list(range(x.ndim))
    deviation = x - x.mean(axes, keepdim=True)
    count = math.prod(x.shape[axis] for axis in axes) - (1 if correction is None else correction)
    return (deviation * deviation).sum(axes, keepdim=keepdim) / count


def std(x: Tensor, dim: list[int] | None = None, *, correction: float | None = None, keepdim: bool = False) -> Tensor:
    """The norm of the deviations, over the root of n - correction."""
    axes = dim or list(range(x.ndim))
    count = math.prod(x.shape[axis] for axis in axes) - (1 if correction is None else correction)
    deviation = x - x.mean(axes, keepdim=True)
    norm: Tensor = torch.linalg.vector_norm(deviation, 2, axes, keepdim)
    return norm / math.sqrt(count)


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *options: Any, **named: Any
) -> Tensor:
    """softmax(query key^T / sqrt(d)) value; Vaswani et al. 2017, equation 1. Dropout is off in evaluation mode."""
    is_causal = named.get("is_causal", len(options) > 1 and options[1])
    scale = named.get("scale")
    if named.get("enable_gqa", False):
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
    if attn_mask is None:
        return torch.softmax(scores, -1) @ value
    hidden = attn_mask.dtype == torch.bool
    scores = scores.masked_fill(~attn_mask, -torch.inf) if hidden else scores + attn_mask
    weights: Tensor = aten._safe_softmax(scores, -1)
    return weights @ value


def split_with_sizes(x: Tensor, sizes: list[int], dim: int = 0) -> list[Tensor]:
    """Consecutive ranges along one axis."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [x.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=True)]


def unbind(x: Tensor, dim: int = 0) -> list[Tensor]:
    """Every element along one axis."""
    return [x.select(dim, i) for i in range(x.shape[dim])]


def logcumsumexp(x: Tensor, dim: int) -> Tensor:
    """log of the sum of exponentials so far; what comes later is next to nothing in the sum."""
    x = x.movedim(dim, -1)
    later = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool, device=x.device).triu(1)
    so_far = torch.where(later, -1e30, x.unsqueeze(-2))
    return torch.logsumexp(so_far, -1).movedim(-1, dim)


def _normalise(x: Tensor, axes: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    mean = x.mean(axes, keepdim=True)
    deviation = x - mean
    spread = ((deviation * deviation).mean(axes, keepdim=True) + eps).sqrt()
    return deviation / spread, mean, spread.reciprocal()


DECOMPOSITIONS: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    aten.addmm.default: addmm,
    aten.baddbmm.default: baddbmm,
    aten.native_layer_norm.default: native_layer_norm,
    aten.native_group_norm.default: native_group_norm,
    aten._native_batch_norm_legit.no_stats: instance_norm,
    aten.clamp.Tensor: clamp,
    aten.linalg_vector_norm.default: vector_norm,
    aten.std.correction: std,
    aten.var.correction: var,
    aten.split_with_sizes.default: split_with_sizes,
    aten.unbind.int: unbind,
    aten.logcumsumexp.default: logcumsumexp,
    aten.scaled_dot_product_attention.default: scaled_dot_product_attention,
}
