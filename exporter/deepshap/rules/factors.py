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
from whyport.exporter.deepshap.rules.rule import Pair, Rule, Shape, only
from whyport.exporter.deepshap.rules.windows import WindowRule, reduced

aten = torch.ops.aten


def factor_multipliers(x: Tensor, r: Tensor) -> Tensor:
    """The multipliers [..., k] of the product over the last axis, from values [..., k] in row and reference."""
    factors, w = _along_diagonal(x, r)
    others = _before(factors) * _before(factors.flip(-1)).flip(-1)  # without a division, as a factor may be 0
    return (others * w).sum(-2)


def _along_diagonal(x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """The factors [..., Q, k] at the nodes of the quadrature, and its weights [Q, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss((x.shape[-1] + 1) // 2)
    t, w = (torch.tensor(values).type_as(x).unsqueeze(-1) for values in ((nodes + 1) / 2, weights / 2))
    x, r = x.unsqueeze(-2), r.unsqueeze(-2)
    return r + t * (x - r), w


def _before(factors: Tensor) -> Tensor:
    """For each of the factors [..., k] the product of those before it."""
    product, step = pad(factors[..., :-1], (1, 0), value=1.0), 1
    while step < factors.shape[-1]:  # each pass multiplies twice as many factors as the one before
        product = product * pad(product[..., :-step], (step, 0), value=1.0)
        step *= 2
    return product


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


class CumulativeProduct(Rule):
    """The products of all values so far, along an axis counted from the last.

    With the multipliers m_o of the products, factor i has, at each node, the product of those before it times
    s_i = m_i + z_(i+1) s_(i+1): what later products make of it.
    """

    reads_inputs = True

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [inputs[0].cumprod(self.axis)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        later = only(multipliers).transpose(self.axis, -1).unsqueeze(-2)
        factors, w = _along_diagonal(*(value.transpose(self.axis, -1) for value in inputs[0]))
        following, step = pad(factors[..., 1:], (0, 1)), 1
        while step < factors.shape[-1]:
            later = later + following * pad(later[..., step:], (0, step))
            following = following * pad(following[..., step:], (0, step))
            step *= 2
        return [(_before(factors) * later * w).sum(-2).transpose(self.axis, -1)]


@rule_for(aten.cumprod.default)
def _cumulative_product(call: Call, x: Active, axis: int, **_: Any) -> Rule:
    return CumulativeProduct(axis % x.ndim - x.ndim)
