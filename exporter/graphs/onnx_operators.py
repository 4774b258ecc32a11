"""Operators that PyTorch's exporter has no ONNX for, in terms of those that ONNX has."""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil, floor, prod
from typing import Any

import numpy as np
import onnx
import torch
from onnxscript import opset18
from onnxscript.function_libs.torch_lib.ops import nn as torch_lib

from whyport.runtime.errors import ExportError

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


def cummax(x: Any, dim: int) -> tuple[Any, Any]:
    """The largest value so far, and its last position."""
    return _extreme_so_far(x, dim, op.Max)


def cummin(x: Any, dim: int) -> tuple[Any, Any]:
    """The smallest value so far, and its last position."""
    return _extreme_so_far(x, dim, op.Min)


def _extreme_so_far(x: Any, dim: int, extreme: Callable[..., Any]) -> tuple[Any, Any]:
    size, after = x.shape[dim], len(x.shape) - dim % len(x.shape) - 1
    values = _so_far(x, dim, size, extreme)
    places = op.Reshape(list(range(size)), [size, *[1] * after])
    return values, _so_far(op.Where(op.Equal(x, values), places, [0]), dim, size, op.Max)


def _so_far(x: Any, dim: int, size: int, extreme: Callable[..., Any]) -> Any:
    """Each pass looks back twice as far as the one before."""
    step = 1
    while step < size:
        first, later, before = (
            op.Slice(x, [start], [end], [dim]) for start, end in ((0, step), (step, size), (0, size - step))
        )
        x = op.Concat(first, extreme(later, before), axis=dim)
        step *= 2
    return x


def scatter(x: Any, dim: int, index: Any, source: Any) -> Any:
    """Values written at an index along an axis: of the source as many as the index has."""
    return op.ScatterElements(x, index, _first_of(source, index), axis=dim)


def scatter_add(x: Any, dim: int, index: Any, source: Any) -> Any:
    """Values added at an index along an axis: of the source as many as the index has."""
    return op.ScatterElements(x, index, _first_of(source, index), axis=dim, reduction="add")


def scatter_reduce(x: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool = True) -> Any:
    """Values at an index along an axis, combined with each other, and with what they are written over."""
    source = _first_of(source, index)
    if not include_self:
        # The largest and the smallest value are the same with one of the source's counted twice.
        neutral = {"sum": 0.0, "mean": 0.0, "prod": 1.0}.get(reduce)
        before = source if neutral is None else op.Expand(op.CastLike(neutral, x), op.Shape(source))
        over = op.ScatterElements(x, index, before, axis=dim)
    else:
        over = x
    if reduce != "mean":
        return op.ScatterElements(over, index, source, axis=dim, reduction=_REDUCTIONS[reduce])
    total = op.ScatterElements(over, index, source, axis=dim, reduction="add")
    ones = op.Expand(op.CastLike(1.0, x), op.Shape(source))
    counted = op.Expand(op.CastLike(1.0, x), op.Shape(x))
    if not include_self:
        counted = op.ScatterElements(counted, index, op.Sub(ones, ones), axis=dim)
    return op.Div(total, op.ScatterElements(counted, index, ones, axis=dim, reduction="add"))


_REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


def _first_of(source: Any, index: Any) -> Any:
    """As many of the source's values as the index has, along every axis: ONNX takes no others."""
    shorter = [axis for axis, size in enumerate(source.shape) if index.shape[axis] != size]
    if not shorter:
        return source
    return op.Slice(source, [0] * len(shorter), op.Gather(op.Shape(index), shorter), shorter)


def fmax(x: Any, y: Any) -> Any:
    """The larger of two values, either where the other is no number."""
    return _of_numbers(x, y, op.Max(x, y))


def fmin(x: Any, y: Any) -> Any:
    """The smaller of two values, either where the other is no number."""
    return _of_numbers(x, y, op.Min(x, y))


def _of_numbers(x: Any, y: Any, both: Any) -> Any:
    return op.Where(op.IsNaN(x), y, op.Where(op.IsNaN(y), x, both))


def hypot(x: Any, y: Any) -> Any:
    """The length of two sides' hypotenuse."""
    return op.Sqrt(op.Add(op.Mul(x, x), op.Mul(y, y)))


def rrelu(x: Any, noise: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> tuple[Any, Any]:
    """A ReLU whose slope is drawn in training alone; elsewhere it is the mean."""
    if training:
        raise ExportError("F.rrelu draws random numbers: give it training=self.training, or use nn.RReLU")
    return op.LeakyRelu(x, alpha=(lower + upper) / 2), noise


def cdist(x: Any, y: Any, order: float, mode: int | None = None) -> Any:
    """The distance of every row of one matrix to every row of another."""
    apart = op.Abs(op.Sub(op.Unsqueeze(x, [-2]), op.Unsqueeze(y, [-3])))
    if order in (1, 2):
        return (op.ReduceL1 if order == 1 else op.ReduceL2)(apart, [-1], keepdims=0)
    if order == torch.inf:
        return op.ReduceMax(apart, [-1], keepdims=0)
    if order == 0:
        return op.ReduceSum(op.Sign(apart), [-1], keepdims=0)
    total = op.ReduceSum(op.Pow(apart, op.CastLike(order, apart)), [-1], keepdims=0)
    return op.Pow(total, op.CastLike(1 / order, apart))


def searchsorted(bounds: Any, x: Any, out_int32: bool = False, right: bool = False, **options: Any) -> Any:
    """The number of bounds below each value; with `right`, of those that it reaches."""
    if options.get("sorter") is not None or options.get("side") not in (None, "left", "right"):
        raise ExportError("torch.searchsorted with a sorter: expected sorted bounds")
    below = op.LessOrEqual if right or options.get("side") == "right" else op.Less
    ahead = bounds if len(bounds.shape) == 1 else op.Unsqueeze(bounds, [-2])
    kind = onnx.TensorProto.INT32 if out_int32 else onnx.TensorProto.INT64
    return op.ReduceSum(op.Cast(below(ahead, op.Unsqueeze(x, [-1])), to=kind), [-1], keepdims=0)


def copysign(x: Any, sign: Any) -> Any:
    """The size of one value with the sign of another, of a negative zero too."""
    negative = op.Or(op.Less(sign, op.CastLike(0.0, sign)), op.Less(op.Reciprocal(sign), op.CastLike(0.0, sign)))
    return op.Where(negative, op.Neg(op.Abs(x)), op.Abs(x))


def avg_pool2d(x: Any, kernel_size: Sequence[int], *options: Any, **named: Any) -> Any:
    """The mean of every window, or its sum over a divisor."""
    given = {**dict(zip(_POOLING, options, strict=False)), **named}
    divisor = given.pop("divisor_override", None)
    if divisor is None:
        return torch_lib.aten_avg_pool2d(x, kernel_size, **given)
    if given.get("ceil_mode"):
        raise ExportError("avg_pool2d with both ceil_mode and divisor_override: expected one of them")
    kernel = list(kernel_size) * (2 // len(kernel_size))
    mean = torch_lib.aten_avg_pool2d(x, kernel, **(given | {"count_include_pad": True}))
    return op.Mul(mean, op.CastLike(kernel[0] * kernel[1] / divisor, mean))


_POOLING = ("stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")


def adaptive_max_pool(x: Any, output_size: Sequence[int]) -> tuple[Any, Any]:
    """The largest value of each of so many windows an axis, and its place in the flattened axes."""
    sizes, front = list(x.shape)[-len(output_size) :], len(x.shape) - len(output_size)
    along = [
        [range(floor(i * size / count), ceil((i + 1) * size / count)) for i in range(count)]
        for size, count in zip(sizes, output_size, strict=True)
    ]
    places = np.arange(prod(sizes)).reshape(sizes)
    windows = [places[np.ix_(*ranges)].flatten() for ranges in product(*along)]
    longest = max(len(window) for window in windows)
    # A place that is there twice does not change the largest value.
    table = np.stack([np.pad(window, (0, longest - len(window)), mode="edge") for window in windows])
    plane, indices = op.Reshape(x, [0] * front + [-1]), table.flatten().tolist()
    values = op.Gather(plane, op.Reshape(indices, list(table.shape)), axis=front)
    starts = op.Add(op.ArgMax(values, axis=-1, keepdims=0), (np.arange(len(windows)) * longest).tolist())
    shape = [0] * front + list(output_size)
    largest = op.ReduceMax(values, [-1], keepdims=0)
    return op.Reshape(largest, shape), op.Reshape(op.Gather(indices, starts), shape)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    aten.kthvalue.default: kthvalue,
    aten.median.dim: median,
    aten.cumprod.default: cumprod,
    aten.cummax.default: cummax,
    aten.cummin.default: cummin,
    aten.scatter.src: scatter,
    aten.scatter_add.default: scatter_add,
    aten.scatter_reduce.two: scatter_reduce,
    aten.fmax.default: fmax,
    aten.fmin.default: fmin,
    aten.hypot.default: hypot,
    aten.rrelu_with_noise_functional.default: rrelu,
    aten._cdist_forward.default: cdist,
    aten.searchsorted.Tensor: searchsorted,
    aten.copysign.Tensor: copysign,
    aten.avg_pool2d.default: avg_pool2d,
    aten.adaptive_max_pool2d.default: adaptive_max_pool,
    aten.adaptive_max_pool3d.default: adaptive_max_pool,
}
"""For the exporter to ONNX."""
