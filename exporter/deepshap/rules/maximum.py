"""Maxima: the Shapley value of the maximum of k values, each of which is in its row's or its reference's state.

Write the maximum as the integral over t of [some value > t]. At a threshold t a value is of one of four kinds: up
(reference <= t < row), down (row <= t < reference), always above, or always below. If one is always above, nobody
contributes. Otherwise [some value > t] is a game of u up and d down players, whose Shapley values are

    (u - 1)! d! / (u + d)!  for each up player: all down players and no up player came before it,
   -u! (d - 1)! / (u + d)!  for each down player,

and the integral is a sum, since u and d change only at the 2k values. Symmetric in its arguments, ties included, and
conserving, as Shapley values are; with k = 2 it is the mean over both orders of a + relu(b - a). A multiplier is a mean
over t of these weights, hence within [0, 1].
"""

from collections.abc import Sequence
from math import ceil, floor, lgamma, prod
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.elementwise import Elementwise
from whyport.exporter.deepshap.rules.quotients import piecewise_linear, ratio
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Kernel, Pair, Rule, Shape, aligned, only, unbroadcast
from whyport.exporter.deepshap.rules.shape import HOLE
from whyport.exporter.deepshap.rules.windows import WindowRule, cumulative, reduced
from whyport.runtime.bundle.deepshap import KernelName

aten = torch.ops.aten


def two_players(x: Tensor, r: Tensor, other: Tensor, of_other: Tensor) -> Tensor:
    """The multiplier of one of two values: the mean of rescale rules with the other in either state."""
    with_other = torch.maximum(x, other) - torch.maximum(r, other)
    without = torch.maximum(x, of_other) - torch.maximum(r, of_other)
    # In the limit x = r, so that each half is a matter of the row or of the reference alone.
    limit = 0.25 * (_wins(x, other) + _wins(r, of_other))
    return ratio(0.5 * (with_other + without), x - r, limit)


def _wins(x: Tensor, other: Tensor | float) -> Tensor:
    """2 where x is larger, 1 where both are the same, else 0."""
    return (x > other).to(x.dtype) + (x >= other).to(x.dtype)


def _above(x: Tensor, r: Tensor, bound: Tensor | float) -> Tensor:
    """The quotient of max(., bound); a tie is shared."""
    limit = 0.5 * _wins(x, bound)
    return piecewise_linear(x, r, x.clamp(min=bound), r.clamp(min=bound), limit)


def players(x: Tensor, r: Tensor) -> Tensor:
    """The multipliers [..., k] of the maximum over the last axis, from values [..., k] in row and reference."""
    low, high, rises, falls = torch.minimum(x, r), torch.maximum(x, r), x > r, x < r
    ends = torch.cat([low, high], -1).sort(-1).values
    start, end = ends[..., :-1], ends[..., 1:]
    # Only thresholds that no value is always above count.
    length = (end - torch.maximum(start, low.amax(-1, keepdim=True))).clamp(min=0)
    across = (low.unsqueeze(-1) <= start.unsqueeze(-2)) & (high.unsqueeze(-1) >= end.unsqueeze(-2))
    up, down = across & rises.unsqueeze(-1), across & falls.unsqueeze(-1)
    u, d = up.sum(-2), down.sum(-2)
    # Logarithms of 0!, 1!, ..., k!: a table, as portable graphs have no operator for them.
    factorial = torch.tensor([lgamma(n + 1) for n in range(x.shape[-1] + 1)], dtype=torch.float64).type_as(x)
    orders = factorial[u + d]
    of_up = torch.exp(factorial[(u - 1).clamp(min=0)] + factorial[d] - orders) * length
    of_down = torch.exp(factorial[u] + factorial[(d - 1).clamp(min=0)] - orders) * length
    weight = torch.where(rises.unsqueeze(-1), of_up.unsqueeze(-2), of_down.unsqueeze(-2))
    share = torch.where(up | down, weight, torch.zeros_like(weight)).sum(-1)
    # A value that is the same in both takes part in the derivative: it shares with the values that tie with it.
    top = high.amax(-1, keepdim=True)
    ties = (high == top).to(x.dtype)
    return torch.where(high == low, ties / ties.sum(-1, keepdim=True), share / (high - low))


class WindowMaximum(WindowRule):
    """The maximum over windows of elements; `sign` is -1 for the minimum."""

    def __init__(self, given: Shape, windows: Tensor, sign: int = 1, front: int = 0) -> None:
        super().__init__(given, windows, -torch.inf, front)
        self.sign = sign
        self.pairwise = windows.shape[-1] == 2 and not self.padded
        in_pairs = self.pairwise and self.map.injective
        flat = windows.reshape(-1, windows.shape[-1])
        planes = torch.arange(prod(given[:front])).reshape(-1, 1, 1) * prod(self.plane)
        self.register_buffer("pairs", (planes + flat).reshape(-1, 2) if in_pairs else None)
        self.register_buffer("windows", None if in_pairs else flat.clone())
        name = KernelName.MAXIMUM_OF_PAIRS if in_pairs else KernelName.MAXIMUM_OF_WINDOWS
        self.kernel = Kernel(name, {"sign": sign})

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self.of_windows(inputs[0] * self.sign).amax(-1) * self.sign]

    def of_players(self, x: Tensor, r: Tensor) -> Tensor:
        x, r = self._comparable(x), self._comparable(r)
        return two_players(x, r, x.flip(-1), r.flip(-1)) if self.pairwise else players(x, r)

    def _comparable(self, windows: Tensor) -> Tensor:
        # A hole is finite, the same in row and reference, and below every value: such a player gets nothing.
        least = torch.finfo(torch.float32).min
        return torch.where(self.holes, least, windows * self.sign) if self.padded else windows * self.sign


class Maximum(Rule):
    """The larger (or, by sign, the smaller) of two active values, broadcast."""

    reads_inputs = True

    def __init__(self, left: Shape, right: Shape, shape: Shape, sign: int) -> None:
        super().__init__()
        self.left, self.right, self.rank, self.sign = left, right, len(shape), sign

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        left, right = self._aligned(inputs[0], inputs[1], 1)
        return [torch.maximum(left, right) * self.sign]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        x, y = self._aligned(inputs[0].row, inputs[1].row, 2)
        r, s = self._aligned(inputs[0].reference, inputs[1].reference, 2)
        of_left, of_right = m * two_players(x, r, y, s), m * two_players(y, s, x, r)
        return [unbroadcast(of_left, self.left), unbroadcast(of_right, self.right)]

    def _aligned(self, left: Tensor, right: Tensor, front: int) -> tuple[Tensor, Tensor]:
        left, right = left * self.sign, right * self.sign
        return aligned(left, front, len(self.left), self.rank), aligned(right, front, len(self.right), self.rank)


class ConstantMaximum(Rule):
    """The larger (or, by sign, the smaller) of an active value and a constant, broadcast."""

    reads_inputs = True
    bound: Tensor

    def __init__(self, given: Shape, bound: Tensor, shape: Shape, sign: int) -> None:
        super().__init__()
        self.given, self.rank, self.sign = given, len(shape), sign
        self.register_buffer("bound", bound * sign)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        x = aligned(inputs[0], 1, len(self.given), self.rank)
        return [torch.maximum(x * self.sign, self.bound) * self.sign]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        x, r = (aligned(value, 2, len(self.given), self.rank) * self.sign for value in inputs[0])
        return [unbroadcast(only(multipliers) * _above(x, r, self.bound), self.given)]


@rule_for(aten.maximum.default, aten.minimum.default)
def _maximum(call: Call, left: Operand, right: Operand) -> Rule:
    sign = 1 if call.operator is aten.maximum.default else -1
    if isinstance(left, Active) and isinstance(right, Active):
        return Maximum(left.shape, right.shape, call.shape, sign)
    active, operand = (left, right) if isinstance(left, Active) else (right, left)
    bound = constant(call, operand)
    if bound.numel() > 1 or tuple(active.shape) != call.shape:
        return ConstantMaximum(tuple(active.shape), bound, call.shape, sign)
    number = float(bound) * sign
    return Elementwise(lambda x: (x * sign).clamp(min=number) * sign, lambda x, r: _above(x * sign, r * sign, number))


@rule_for(aten.amax.default, aten.max.dim, aten.amin.default, aten.min.dim)
def _reduce(call: Call, x: Active, axes: int | list[int] | None = None, keep: bool = False) -> Rule:
    sign = -1 if call.operator in (aten.amin.default, aten.min.dim) else 1
    return WindowMaximum(x.shape, reduced(x.shape, axes, call.shape), sign)


@rule_for(aten.cummax.default, aten.cummin.default)
def _so_far(call: Call, x: Active, axis: int) -> Rule:
    return WindowMaximum(x.shape, cumulative(x.shape, axis), -1 if call.operator is aten.cummin.default else 1)


@rule_for(aten.max_pool2d_with_indices.default, aten.max_pool3d_with_indices.default)
def _max_pooling(
    call: Call,
    x: Active,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Rule:
    rank = len(kernel)
    steps, padding, dilation = (_per_axis(option, rank) for option in (stride or kernel, padding, dilation))

    def along(axis: int, position: int) -> list[int]:
        start = position * steps[axis] - padding[axis]
        return [start + i * dilation[axis] for i in range(kernel[axis])]

    return _windows(call, x, rank, along)


@rule_for(aten.adaptive_max_pool2d.default, aten.adaptive_max_pool3d.default)
def _adaptive_max_pooling(call: Call, x: Active, sizes: Sequence[int]) -> Rule:
    rank = len(sizes)

    def along(axis: int, position: int) -> list[int]:
        size = x.shape[axis - rank]
        return list(range(floor(position * size / sizes[axis]), ceil((position + 1) * size / sizes[axis])))

    return _windows(call, x, rank, along)


def _windows(call: Call, x: Active, rank: int, along: Any) -> Rule:
    """The pooling whose window at a position covers `along(axis, position)` on every axis."""
    windows = torch.zeros(*[1] * 2 * rank, dtype=torch.int64)  # an axis for each of the positions, then of the window
    for axis, size in enumerate(x.shape[-rank:]):
        ranges = [along(axis, position) for position in range(call.shape[axis - rank])]
        inside = [torch.tensor([i for i in each if 0 <= i < size]) for each in ranges]
        places = torch.nn.utils.rnn.pad_sequence(inside, batch_first=True, padding_value=HOLE)
        shape = [1] * 2 * rank
        shape[axis], shape[rank + axis] = places.shape
        places = places.reshape(shape)
        windows = torch.where((windows == HOLE) | (places == HOLE), HOLE, windows * size + places)
    return WindowMaximum(x.shape, windows.reshape(*call.shape[-rank:], -1), front=len(x.shape) - rank)


def _per_axis(option: Sequence[int], rank: int) -> list[int]:
    return list(option) * rank if len(option) == 1 else list(option)
