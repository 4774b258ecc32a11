"""Order statistics: the Shapley value of the k-th largest of n values, each in its row's or its reference's state.

Write it as the integral over t of [at least k values > t]. At a threshold t, with a values always above, u up
(reference <= t < row) and d down (row <= t < reference), an up player counts where c = k - 1 - a of the others that
change are above as it arrives. If p of the up players came before it, then so did e = p + d - c of the down players:

    W(u, d, c) = sum over p of C(u - 1, p) C(d, e) (p + e)! (u + d - 1 - p - e)! / (u + d)!

is its Shapley value, and -W(d, u, u + d - 1 - c) that of a down player, for whom above and below are exchanged. Only at
the 2n values do u, d and a change. Multipliers are within [0, 1], symmetric, and with k = 1 those of the maximum.
"""

from collections.abc import Sequence
from functools import cache
from math import lgamma
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule, only

aten = torch.ops.aten

MOST_VALUES = 128
"""Values that are ordered at most: the table of their weights has n^3 / 3 numbers."""


@cache
def _start(changing: int) -> int:
    """Where the weights of u + d = `changing` players start; a block [u = 0 ... changing, c = 0 ... changing - 1]."""
    return (changing - 1) * changing * (changing + 1) // 3


@cache
def weights(count: int) -> NDArray[np.float64]:
    """W(u, d, c) of all u + d <= count, at `_start(u + d)` + u (u + d) + c."""
    table = np.zeros(_start(count + 1))
    log_factorial = np.array([lgamma(n + 1) for n in range(count + 1)])

    def log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        return np.where(inside, log_factorial[n] - log_factorial[k] - log_factorial[n - k], -np.inf)

    for s in range(1, count + 1):
        c = np.arange(s)[:, None]
        for u in range(1, s + 1):
            d, p = s - u, np.arange(u)
            e = p + d - c
            before = np.clip(p + e, 0, s - 1)
            orders = log_factorial[before] + log_factorial[s - 1 - before] - log_factorial[s]
            at = _start(s) + u * s
            table[at : at + s] = np.exp(log_choose(u - 1, p) + log_choose(d, e) + orders).sum(1)
    return table


def order_multipliers(x: Tensor, r: Tensor, ranks: Sequence[int]) -> Tensor:
    """The multipliers [..., n, K] of the values at K ranks, 0 the largest, from values [..., n] in both states."""
    count = x.shape[-1]
    low, high, rises, falls = torch.minimum(x, r), torch.maximum(x, r), x > r, x < r
    ends = torch.cat([low, high], -1).sort(-1).values
    start, end = ends[..., :-1].unsqueeze(-2), ends[..., 1:].unsqueeze(-2)
    across = (low.unsqueeze(-1) <= start) & (high.unsqueeze(-1) >= end)
    up, down = across & rises.unsqueeze(-1), across & falls.unsqueeze(-1)
    u, d = up.sum(-2), down.sum(-2)
    above = (low.unsqueeze(-1) >= end).sum(-2)
    # c, by threshold and rank; only where 0 <= c < u + d does the rank's value change there.
    rank = torch.tensor(ranks)
    c, changing = rank - above.unsqueeze(-1), (u + d).unsqueeze(-1)
    counts = (c >= 0) & (c < changing)
    c = torch.where(counts, c, 0)
    starts = torch.tensor([_start(s) for s in range(count + 1)])[changing]
    table = torch.tensor(weights(count), dtype=x.dtype)
    length = torch.where(counts, (end - start).squeeze(-2).unsqueeze(-1), 0.0)
    of_up = table[torch.where(counts, starts + u.unsqueeze(-1) * changing + c, 0)] * length
    of_down = table[torch.where(counts, starts + d.unsqueeze(-1) * changing + changing - 1 - c, 0)] * length
    share = up.to(x.dtype) @ of_up + down.to(x.dtype) @ of_down
    # A value that is the same in both has the derivative: it shares the ranks of the values that tie with it.
    larger = (x.unsqueeze(-2) > x.unsqueeze(-1)).sum(-1, keepdim=True)
    ties = (x.unsqueeze(-2) == x.unsqueeze(-1)).sum(-1, keepdim=True)
    limit = ((rank >= larger) & (rank < larger + ties)) / ties
    same = (high == low).unsqueeze(-1)
    return torch.where(same, limit.to(x.dtype), share / (high - low).unsqueeze(-1))


class OrderStatistics(Rule):
    """The values at given ranks along an axis.

    Args:
        axis: counted from the last.
        ranks: 0 is the largest.
        keep: whether the axis stays where there is one rank.
    """

    keeps_finite = True
    reads_inputs = True

    def __init__(self, axis: int, ranks: Sequence[int], keep: bool = True) -> None:
        super().__init__()
        self.axis, self.ranks, self.keep = axis, list(ranks), keep
        self.register_buffer("picked", torch.tensor(self.ranks))

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        values = inputs[0].sort(self.axis, descending=True).values
        values = values.index_select(self.axis, self.get_buffer("picked"))
        return [values if self.keep else values.squeeze(self.axis)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        m = m if self.keep else m.unsqueeze(self.axis)
        x, r = (value.transpose(self.axis, -1) for value in inputs[0])
        of_input = order_multipliers(x, r, self.ranks) @ m.transpose(self.axis, -1).unsqueeze(-1)
        return [of_input.squeeze(-1).transpose(self.axis, -1)]


def _ordered(call: Call, x: Active, axis: int, ranks: Sequence[int], keep: bool = True) -> Rule:
    size = x.shape[axis]
    if size > MOST_VALUES:
        call.refuse(f" of {size} values: at most {MOST_VALUES} are ordered")
    return OrderStatistics(axis % x.ndim - x.ndim, ranks, keep)


@rule_for(aten.sort.default, aten.sort.stable)
def _sort(call: Call, x: Active, axis: int = -1, descending: bool = False, **named: Any) -> Rule:
    descending, axis = named.get("descending", descending), named.get("dim", axis)
    ranks = range(x.shape[axis])
    return _ordered(call, x, axis, ranks if descending else ranks[::-1])


@rule_for(aten.topk.default)
def _topk(call: Call, x: Active, count: int, axis: int = -1, largest: bool = True, *_: bool) -> Rule:
    size = x.shape[axis]
    return _ordered(call, x, axis, [rank if largest else size - 1 - rank for rank in range(count)])


@rule_for(aten.kthvalue.default)
def _kth_value(call: Call, x: Active, count: int, axis: int = -1, keep: bool = False) -> Rule:
    return _ordered(call, x, axis, [x.shape[axis] - count], keep)


@rule_for(aten.median.dim)
def _median(call: Call, x: Active, axis: int = -1, keep: bool = False) -> Rule:
    """The lower of the two in the middle."""
    return _ordered(call, x, axis, [x.shape[axis] // 2], keep)
