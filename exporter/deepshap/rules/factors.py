"""Products of k values, each in its row's or its reference's state.

A product is linear in each of its factors. So the Shapley value of factor i is the derivative along the diagonal (Owen
1972, doi:10.1287/mnsc.18.5.64):

    (x_i - r_i) * integral from 0 to 1 of the product over j != i of (r_j + t (x_j - r_j)) dt

The integrand is a polynomial of degree k - 1, for which Gauss's quadrature with k / 2 nodes is exact. With k = 2 it is
the rule of products.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import Rule, Shape
from whyport.exporter.deepshap.rules.windows import WindowRule, cumulative, reduced

aten = torch.ops.aten


def factor_multipliers(x: Tensor, r: Tensor) -> Tensor:
    """The multipliers [..., k] of the product over the last axis, from values [..., k] in row and reference."""
    nodes, weights = np.polynomial.legendre.leggauss((x.shape[-1] + 1) // 2)
    t, w = (torch.tensor(values, dtype=x.dtype).unsqueeze(-1) for values in ((nodes + 1) / 2, weights / 2))
    x, r = x.unsqueeze(-2), r.unsqueeze(-2)
    return (others(r + t * (x - r)) * w).sum(-2)


def others(factors: Tensor) -> Tensor:
    """For each of the factors [..., k] the product of all others, without a division."""
    before, after = pad(factors[..., :-1], (1, 0), value=1.0), pad(factors[..., 1:], (0, 1), value=1.0)
    step = 1
    while step < factors.shape[-1]:  # each product has twice as many factors as in the pass before
        before = before * pad(before[..., :-step], (step, 0), value=1.0)
        after = after * pad(after[..., step:], (0, step), value=1.0)
        step *= 2
    return before * after


class WindowProduct(WindowRule):
    """The product over windows of elements."""

    def __init__(self, given: Shape, windows: Tensor) -> None:
        super().__init__(given, windows, 1.0)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self.map.transform(inputs[0]).prod(-1)]

    def of_players(self, x: Tensor, r: Tensor) -> Tensor:
        return factor_multipliers(x, r)


@rule_for(aten.prod.dim_int)
def _product(call: Call, x: Active, axis: int, *_: Any, **__: Any) -> Rule:
    return WindowProduct(x.shape, reduced(x.shape, axis, call.shape))


@rule_for(aten.cumprod.default)
def _cumulative_product(call: Call, x: Active, axis: int, **_: Any) -> Rule:
    return WindowProduct(x.shape, cumulative(x.shape, axis))
