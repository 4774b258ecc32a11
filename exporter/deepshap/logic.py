"""Logic as arithmetic of 0 and 1: and is a product, or is a maximum, one alone is a comparison.

Products and maxima have their rules: the Shapley values of their players.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def logical_and(left: Tensor, right: Tensor) -> Tensor:
    """Whether both hold."""
    return _truth(left) * _truth(right)


def logical_or(left: Tensor, right: Tensor) -> Tensor:
    """Whether either holds."""
    return torch.maximum(_truth(left), _truth(right))


def logical_xor(left: Tensor, right: Tensor) -> Tensor:
    """Whether one holds alone."""
    return _truth(left) != _truth(right)


def any_of(x: Tensor, dim: int | list[int] | None = None, keepdim: bool = False) -> Tensor:
    """Whether any along the axes holds."""
    return torch.amax(_truth(x), _axes(x, dim), keepdim)


def all_of(x: Tensor, dim: int | list[int] | None = None, keepdim: bool = False) -> Tensor:
    """Whether all along the axes hold."""
    return torch.amin(_truth(x), _axes(x, dim), keepdim)


def of_truths(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A bitwise operator, which of truths is the logical one; of whole numbers it stays, without a rule."""

    def decomposition(*operands: Tensor) -> Tensor:
        return function(*operands) if all(x.dtype == torch.bool for x in operands) else NotImplemented

    return decomposition


def _truth(x: Tensor) -> Tensor:
    return x if x.dtype == torch.bool else x != 0


def _axes(x: Tensor, dim: int | list[int] | None) -> list[int]:
    return list(range(x.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)


DECOMPOSITIONS: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    aten.logical_and.default: logical_and,
    aten.logical_or.default: logical_or,
    aten.logical_xor.default: logical_xor,
    aten.bitwise_and.Tensor: of_truths(logical_and),
    aten.bitwise_or.Tensor: of_truths(logical_or),
    aten.bitwise_xor.Tensor: of_truths(logical_xor),
    aten.bitwise_not.default: of_truths(torch.logical_not),
    **dict.fromkeys((aten.any.default, aten.any.dim, aten.any.dims), any_of),
    **dict.fromkeys((aten.all.default, aten.all.dim, aten.all.dims), all_of),
}
