"""Linear operators: multipliers pass through the transpose (Shrikumar et al. 2017, the linear rule).

Constants are no players, so a product with a constant is linear too.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import LinearRule, Pair, Rule, Shape, aligned, only, unbroadcast

aten = torch.ops.aten


class Scale(Rule):
    """A broadcast product with a constant."""

    keeps_finite = True
    factor: Tensor

    def __init__(self, given: Shape, factor: Tensor, shape: Shape) -> None:
        super().__init__()
        self.given, self.shape, self.rank = given, shape, len(shape)
        self.register_buffer("factor", factor.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [aligned(inputs[0], 1, len(self.given), self.rank) * self.factor]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        return [unbroadcast(only(multipliers) * self.factor, self.given)]


class Sum(Rule):
    """A broadcast sum of active terms with fixed signs and factors, and of constants."""

    keeps_finite = True
    offset: Tensor

    def __init__(self, shapes: Sequence[Shape], factors: Sequence[float], offset: Tensor, shape: Shape) -> None:
        super().__init__()
        self.shapes, self.factors, self.rank = shapes, factors, len(shape)
        self.register_buffer("offset", offset.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        total: Tensor = self.offset
        for x, shape, factor in zip(inputs, self.shapes, self.factors, strict=True):
            x = aligned(x, 1, len(shape), self.rank)
            total = total + (x if factor == 1 else x * factor)
        return [total]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        parts = [unbroadcast(m, shape) for shape in self.shapes]
        return [part if factor == 1 else part * factor for part, factor in zip(parts, self.factors, strict=True)]


class Concatenation(Rule):
    """Active and constant parts behind each other."""

    keeps_finite = True

    def __init__(self, parts: Sequence[Operand], axis: int) -> None:
        super().__init__()
        self.axis = axis % len(parts[0].shape) - len(parts[0].shape)
        self.sizes = [part.shape[self.axis] for part in parts]
        self.active = [isinstance(part, Active) for part in parts]
        for i, part in enumerate(parts):
            if isinstance(part, Tensor):
                self.register_buffer(f"part_{i}", part.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        waiting, rows = iter(inputs), inputs[0].shape[0]
        parts = [next(waiting) if active else self._constant(i, rows) for i, active in enumerate(self.active)]
        return [torch.cat(parts, self.axis)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        parts = torch.split(only(multipliers), self.sizes, self.axis)
        return [part for part, active in zip(parts, self.active, strict=True) if active]

    def _constant(self, index: int, rows: int) -> Tensor:
        part = self.get_buffer(f"part_{index}")
        return part.expand(rows, *part.shape)


class MatrixProduct(LinearRule):
    """x @ right, or left @ x, with a constant matrix."""

    matrix: Tensor

    def __init__(self, matrix: Tensor, *, left: bool) -> None:
        super().__init__()
        self.left = left
        self.register_buffer("matrix", matrix.clone())

    def transform(self, x: Tensor) -> Tensor:
        return self.matrix @ x if self.left else x @ self.matrix

    def transpose(self, m: Tensor) -> Tensor:
        transposed = self.matrix.transpose(-1, -2)
        return transposed @ m if self.left else m @ transposed


class Convolution(LinearRule):
    """A convolution in one to three dimensions, or its transpose."""

    weight: Tensor
    bias: Tensor

    def __init__(self, given: Shape, weight: Tensor, bias: Tensor, geometry: Sequence[Any]) -> None:
        super().__init__()
        self.given, self.geometry = given, list(geometry)
        self.register_buffer("weight", weight.clone())
        self.register_buffer("bias", bias.clone())

    def transform(self, x: Tensor) -> Tensor:
        # The network's own batch axis of size 1 comes behind the program's.
        rows: Tensor = aten.convolution(x.flatten(0, 1), self.weight, self.bias, *self.geometry)
        return rows.reshape(x.shape[0], -1, *rows.shape[1:])

    def transpose(self, m: Tensor) -> Tensor:
        stride, padding, dilation, transposed, _, groups = self.geometry
        shape, flat = m.shape, m.flatten(0, 1)
        spatial = self.given[2:]
        if transposed:
            x = aten.convolution(flat, self.weight, None, stride, padding, dilation, False, [0], groups)
            # Output padding can be a whole step of the kernel, which no input position reaches.
            for axis, size in enumerate(spatial, start=2):
                x = x.narrow(axis, 0, size)
        else:
            # What the stride left over at the far end, and the convolution never read.
            kernel = self.weight.shape[2:]
            over = [
                spatial[i] - ((shape[3 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + 1)
                for i in range(len(spatial))
            ]
            x = aten.convolution(flat, self.weight, None, stride, padding, dilation, True, over, groups)
        result: Tensor = x.reshape(shape[0], *self.given)
        return result


class Positions(LinearRule):
    """A linear map [I, O] of the positions of every channel, which average pooling is."""

    matrix: Tensor

    def __init__(self, given: Shape, shape: Shape, matrix: Tensor) -> None:
        super().__init__()
        self.given, self.shape = given, shape
        self.register_buffer("matrix", matrix.clone())

    def transform(self, x: Tensor) -> Tensor:
        return (x.reshape(x.shape[0], -1, self.matrix.shape[0]) @ self.matrix).reshape(x.shape[0], *self.shape)

    def transpose(self, m: Tensor) -> Tensor:
        flat = m.reshape(m.shape[0], -1, self.matrix.shape[1]) @ self.matrix.T
        return flat.reshape(m.shape[0], *self.given)


class Reduction(LinearRule):
    """The sum over axes, times a factor."""

    def __init__(self, given: Shape, axes: Sequence[int], keep: bool, factor: float) -> None:
        super().__init__()
        rank = len(given)
        self.given, self.keep, self.factor = given, keep, factor
        self.axes = sorted(axis % rank + 1 for axis in axes)

    def transform(self, x: Tensor) -> Tensor:
        return x.sum(self.axes, keepdim=self.keep) * self.factor

    def transpose(self, m: Tensor) -> Tensor:
        m = m * self.factor
        if not self.keep:
            for axis in self.axes:
                m = m.unsqueeze(axis)
        return m.expand(-1, *self.given)


@rule_for(aten.add.Tensor, aten.add.Scalar)
def _add(call: Call, left: Operand, right: Any, *, alpha: float = 1) -> Rule:
    return _signed_sum(call, left, right, alpha)


@rule_for(aten.sub.Tensor)
def _subtract(call: Call, left: Operand, right: Any, *, alpha: float = 1) -> Rule:
    return _signed_sum(call, left, right, -alpha)


def _signed_sum(call: Call, left: Operand, right: Any, sign: float) -> Rule:
    terms = [(left, 1.0), (right, float(sign))]
    active = [(tuple(x.shape), factor) for x, factor in terms if isinstance(x, Active)]
    if call.dtype == torch.bool:
        call.refuse(" of truths")
    offset = sum((constant(call, x) * factor for x, factor in terms if not isinstance(x, Active)), torch.tensor(0.0))
    return Sum([shape for shape, _ in active], [factor for _, factor in active], offset, call.shape)


@rule_for(aten.neg.default)
def _negate(call: Call, x: Active) -> Rule:
    return Scale(x.shape, torch.tensor(-1.0), call.shape)


@rule_for(aten.cat.default)
def _concatenate(call: Call, parts: Sequence[Operand], axis: int = 0) -> Rule:
    return Concatenation([part if isinstance(part, Active) else constant(call, part) for part in parts], axis)


@rule_for(aten.convolution.default)
def _convolution(call: Call, x: Operand, weight: Operand, bias: Operand | None, *geometry: Any) -> Rule:
    if not isinstance(x, Active):
        call.refuse(" with a kernel that depends on the row")
    weight = constant(call, weight)
    channels = weight.shape[1] * geometry[5] if geometry[3] else weight.shape[0]
    return Convolution(x.shape, weight, torch.zeros(channels) if bias is None else constant(call, bias), geometry)


@rule_for(aten._native_batch_norm_legit_no_training.default)
def _batch_norm(
    call: Call, x: Active, weight: Any, bias: Any, mean: Tensor, variance: Tensor, _: float, eps: float
) -> Rule:
    """In evaluation mode, an affine map of each channel; Ioffe & Szegedy 2015, arXiv:1502.03167."""
    scale = (variance.double() + eps).rsqrt() * (1 if weight is None else constant(call, weight).double())
    offset = (0 if bias is None else constant(call, bias).double()) - mean.double() * scale
    by_channel = (-1, *[1] * (x.ndim - 2))
    return ChannelAffine(scale.reshape(by_channel).to(mean.dtype), offset.reshape(by_channel).to(mean.dtype))


class ChannelAffine(LinearRule):
    """scale * x + offset, both constant."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def transform(self, x: Tensor) -> Tensor:
        return x * self.scale + self.offset

    def transpose(self, m: Tensor) -> Tensor:
        return m * self.scale


@rule_for(aten.mean.dim)
def _mean(call: Call, x: Active, axes: list[int], keep: bool = False, **_: Any) -> Rule:
    count = int(torch.tensor([x.shape[axis] for axis in axes]).prod())
    return Reduction(x.shape, axes, keep, 1 / count)


@rule_for(aten.sum.dim_IntList)
def _sum(call: Call, x: Active, axes: list[int], keep: bool = False, **_: Any) -> Rule:
    return Reduction(x.shape, axes, keep, 1.0)


@rule_for(aten.avg_pool2d.default, aten.avg_pool3d.default)
def _average_pooling(call: Call, x: Active, kernel: Sequence[int], *options: Any, **named: Any) -> Rule:
    return _positions(call, x, len(kernel), kernel, *options, **named)


@rule_for(aten._adaptive_avg_pool2d.default, aten._adaptive_avg_pool3d.default)
def _adaptive_average_pooling(call: Call, x: Active, sizes: Sequence[int]) -> Rule:
    return _positions(call, x, len(sizes), sizes)


@rule_for(aten.grid_sampler_2d.default, aten.grid_sampler_3d.default)
def _grid_sampling(call: Call, x: Active, grid: Operand, *options: Any) -> Rule:
    """Jaderberg et al. 2015, arXiv:1506.02025, at constant places: a linear map of the positions."""
    grid = constant(call, grid)
    positions = prod(x.shape[2:])
    return _positions(call, x, x.ndim - 2, grid.expand(positions, *grid.shape[1:]), *options)


def _positions(call: Call, x: Active, rank: int, *options: Any, **named: Any) -> Rule:
    """The operator as a matrix: what it makes of each unit vector of positions."""
    positions = x.shape[-rank:]
    count = prod(positions)
    units = torch.eye(count).reshape(count, 1, *positions)
    return Positions(x.shape, call.shape, call.operator(units, *options, **named).flatten(1))
