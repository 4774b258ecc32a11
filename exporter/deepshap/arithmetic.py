"""Arithmetic that torch.export keeps whole, written as the operators that have rules."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def trilinear(left: Tensor, weight: Tensor, right: Tensor, *axes: Any) -> Tensor:
    """left[n, i] weight[o, i, j] right[n, j], summed over i and j: the bilinear layer, a product of two activations."""
    if axes[:4] != ([1, 3], [0], [1, 2], [2, 3]):
        return NotImplemented  # type: ignore[no-any-return]
    outputs, inner, last = weight.shape
    lifted = left @ weight.permute(1, 0, 2).reshape(inner, outputs * last)
    return (lifted.reshape(-1, outputs, last) * right.unsqueeze(1)).sum(2)


def cdist(left: Tensor, right: Tensor, order: float, mode: int | None) -> Tensor:
    """The distance of every row of `left` from every row of `right`."""
    distance: Tensor = torch.linalg.vector_norm(left.unsqueeze(-2) - right.unsqueeze(-3), order, -1)
    return distance


def hypot(left: Tensor, right: Tensor) -> Tensor:
    """The Euclidean norm of two values."""
    norm: Tensor = torch.linalg.vector_norm(_stacked(left, right), 2, 0)
    return norm


def logaddexp(left: Tensor, right: Tensor) -> Tensor:
    """log(exp a + exp b)."""
    return torch.logsumexp(_stacked(left, right), 0)


def xlogy(left: Tensor, right: Tensor) -> Tensor:
    """a log b; 0 where a is."""
    product = left * torch.log(right)
    return torch.where(left == 0, torch.zeros_like(product), product)


def var_mean(x: Tensor, dim: list[int] | None = None, **options: Any) -> tuple[Tensor, Tensor]:
    """The variance and the mean."""
    axes = dim or list(range(x.ndim))
    return torch.var(x, axes, **options), torch.mean(x, axes, keepdim=options.get("keepdim", False))


def rrelu(x: Tensor, noise: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    """In evaluation mode, a leaky ReLU of the mean slope; Xu et al. 2015, arXiv:1505.00853."""
    if training:
        return NotImplemented
    return torch.nn.functional.leaky_relu(x, (lower + upper) / 2), noise


def bucketize(x: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of boundaries below x; with `right`, of those that x reaches."""
    values = x.unsqueeze(-1)
    below = values >= boundaries if right else values > boundaries
    return below.sum(-1, dtype=torch.int32 if out_int32 else torch.int64)


def searchsorted(bounds: Tensor, x: Tensor, *, right: bool = False, **options: Any) -> Tensor:
    """`bucketize` of the same bounds for all values, or of some for those of each row."""
    if options.get("sorter") is not None or options.get("side") not in (None, "left", "right"):
        return NotImplemented  # type: ignore[no-any-return]
    bounds = bounds if bounds.ndim == 1 else bounds.unsqueeze(-2)
    reaches = right or options.get("side") == "right"
    return bucketize(x, bounds, out_int32=options.get("out_int32", False), right=reaches)


def copysign(x: Tensor, sign: Tensor) -> Tensor:
    """The size of one value with the sign of another, a product."""
    return x.abs() * torch.where(sign < 0, -1.0, 1.0)


def divide(left: Tensor, right: Any, *, rounding_mode: str | None) -> Tensor:
    """A quotient, rounded to a whole number."""
    quotient = torch.div(left, right)
    if rounding_mode is None:
        return quotient
    rounded = torch.floor(quotient) if rounding_mode == "floor" else torch.trunc(quotient)
    kind = torch.result_type(left, right)
    return rounded if kind.is_floating_point else rounded.to(kind)


def remainder(left: Tensor, right: Tensor) -> Tensor:
    """The remainder of left after whole multiples of right, with the sign of right."""
    return left - torch.floor(left / right) * right


def fmod(left: Tensor, right: Tensor) -> Tensor:
    """`remainder` with the sign of a."""
    return left - torch.trunc(left / right) * right


def index_put(x: Tensor, indices: list[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """An assignment of one value where a mask holds is a choice; every other one stays as it is."""
    mask = indices[0]
    if len(indices) > 1 or mask is None or mask.dtype != torch.bool or values.numel() > 1 or accumulate:
        return NotImplemented  # type: ignore[no-any-return]
    return torch.where(mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)), values.to(x.dtype), x)


def embedding_bag(table: Tensor, indices: Tensor, offsets: Tensor, *options: Any, **named: Any) -> Any:
    """The sum, the mean or the maximum of a row's embeddings."""
    mode = named.get("mode", options[1] if len(options) > 1 else 0)
    weights = named.get("per_sample_weights", options[3] if len(options) > 3 else None)
    padding = named.get("padding_idx", options[5] if len(options) > 5 else -1)
    if offsets.shape[0] != 1 or weights is not None or padding != -1:
        return NotImplemented
    embedded = torch.nn.functional.embedding(indices, table)
    reduce: Callable[..., Tensor] = (torch.sum, torch.mean, torch.amax)[mode]
    return reduce(embedded, 0, keepdim=True), offsets, offsets, offsets


def _stacked(left: Tensor, right: Tensor) -> Tensor:
    shape = (left + right).shape  # the sum is pruned
    return torch.stack([left.expand(shape), right.expand(shape)])


DECOMPOSITIONS: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    aten._trilinear.default: trilinear,
    aten._cdist_forward.default: cdist,
    aten.hypot.default: hypot,
    aten.logaddexp.default: logaddexp,
    aten.xlogy.Tensor: xlogy,
    aten.var_mean.correction: var_mean,
    aten.rrelu_with_noise_functional.default: rrelu,
    aten.bucketize.Tensor: bucketize,
    aten.searchsorted.Tensor: searchsorted,
    aten.copysign.Tensor: copysign,
    aten.div.Tensor_mode: divide,
    aten.div.Scalar_mode: divide,
    aten.remainder.Tensor: remainder,
    aten.fmod.Tensor: fmod,
    aten.index_put.default: index_put,
    aten.fmax.default: torch.maximum,
    aten.fmin.default: torch.minimum,
    aten._embedding_bag_forward_only.default: embedding_bag,
}
