"""Products of two activations: the Shapley value of a game of two players.

With a and a' the values in row and reference, the differences ab - a'b' split into (a - a')(b + b')/2 and
(b - b')(a + a')/2: each player's mean contribution over the two orders of arrival (Shapley 1953).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.linear import MatrixProduct, Scale
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Kernel, Pair, Rule, Shape, aligned, only, unbroadcast
from whyport.runtime.bundle.deepshap import KernelName

aten = torch.ops.aten

SMALL = 32
"""Up to this many rows and columns a fused kernel multiplies matrices faster than a library's general product."""


class Product(Rule):
    """a * b, broadcast."""

    reads_inputs = True

    def __init__(self, left: Shape, right: Shape, shape: Shape) -> None:
        super().__init__()
        self.left, self.right, self.shape, self.rank = left, right, shape, len(shape)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        left, right = inputs
        return [aligned(left, 1, len(self.left), self.rank) * aligned(right, 1, len(self.right), self.rank)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        left, right = inputs
        of_left = m * aligned(right.mean(), 2, len(self.right), self.rank)
        of_right = m * aligned(left.mean(), 2, len(self.left), self.rank)
        return [unbroadcast(of_left, self.left), unbroadcast(of_right, self.right)]


class BatchedProduct(Rule):
    """a @ b: every scalar product in it is one of two players."""

    reads_inputs = True

    def __init__(self, left: Shape, right: Shape) -> None:
        super().__init__()
        sizes = {"rows": left[-2], "columns": right[-1], "inner": left[-1]}
        if max(sizes.values()) <= SMALL:
            self.kernel = Kernel(KernelName.SMALL_PRODUCTS, sizes)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        left, right = inputs
        return [left @ right]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        left, right = (Pair(*(value.transpose(-1, -2) for value in pair)) for pair in inputs)
        if m.shape[1:3] == (1, 1):
            # The same for every pair: products for each row and each reference give the products of all pairs.
            return [Pair(m @ right.row, m @ right.reference).mean(), Pair(left.row @ m, left.reference @ m).mean()]
        # The classes become rows, or columns, of one matrix: they share the other factor.
        classes, *_, rows, columns = m.shape
        of_left = m.movedim(0, -3).flatten(-3, -2) @ right.mean()
        of_right = left.mean() @ m.movedim(0, -2).flatten(-2)
        return [
            of_left.view(*of_left.shape[:-2], classes, rows, -1).movedim(-3, 0),
            of_right.view(*of_right.shape[:-1], classes, columns).movedim(-2, 0),
        ]


@rule_for(aten.mul.Tensor, aten.mul.Scalar)
def _multiply(call: Call, left: Operand, right: Any) -> Rule:
    if isinstance(left, Active) and isinstance(right, Active):
        return Product(left.shape, right.shape, call.shape)
    active, factor = (left, right) if isinstance(left, Active) else (right, left)
    return Scale(active.shape, constant(call, factor), call.shape)


@rule_for(aten.mm.default, aten.bmm.default)
def _matrix_product(call: Call, left: Operand, right: Operand) -> Rule:
    if isinstance(left, Active) and isinstance(right, Active):
        return BatchedProduct(left.shape, right.shape)
    if isinstance(left, Active):
        return MatrixProduct(constant(call, right), left=False)
    return MatrixProduct(constant(call, left), left=True)
