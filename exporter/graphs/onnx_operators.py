"""Operators that PyTorch's exporter has no ONNX for, in terms of those that ONNX has."""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset18

op: Any = opset18
"""The operator set that PyTorch's exporter writes, before it converts the whole to another."""

aten = torch.ops.aten


def kthvalue(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Any, Any]:
    """The k-th smallest value along an axis, and its position."""
    last = [op.Slice(found, [-1], [k], [dim]) for found in op.TopK(x, [k], axis=dim, largest=0, sorted=1)]
    values, positions = last if keepdim else [op.Squeeze(found, [dim]) for found in last]
    return values, positions


def median(x: Any, dim: int, keepdim: bool = False) -> tuple[Any, Any]:
    """The lower of the two values in the middle, and its position."""
    return kthvalue(x, (x.shape[dim] + 1) // 2, dim, keepdim)


def cumprod(x: Any, dim: int, dtype: int = -1) -> Any:
    """The product so far: each pass multiplies twice as many factors as the one before."""
    size, step = x.shape[dim], 1
    while step < size:
        before = op.Slice(x, [0], [size - step], [dim])
        x = op.Mul(x, op.Pad(before, [step, 0], op.CastLike(1.0, before), [dim]))
        step *= 2
    return x


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    aten.kthvalue.default: kthvalue,
    aten.median.dim: median,
    aten.cumprod.default: cumprod,
}
"""For the exporter to ONNX."""
