"""Quotients of two activations: a game of two players, like a product.

Of q = a / b, the numerator has Delta a / b where the denominator arrives first, and Delta a / b' where it arrives
last. The denominator has the rest. With weights w + w' = 1 of the two orders, the multipliers are

    w / b + w' / b'  of a, and  -(w q' / b + w' q / b')  of b.

They conserve for any weights, and each order counts half where a and b depend on different features: the Shapley value
of two players. Where they depend on the same, as a vector and its norm do, nothing ever divides the row's a by the
reference's b. Half of it may be a million times the quotients themselves, where one b is next to nothing. There the
weights are |b| and |b'| over their sum: a has Delta a / mean b, and b has -mean q / mean b times its change, where both
have one sign. No share then exceeds what the quotients and changes of both sides are.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.linear import Scale
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule, Shape, aligned, only, unbroadcast

aten = torch.ops.aten


class Division(Rule):
    """a / b, broadcast."""

    reads_inputs = True
    reads_outputs = (0,)
    shared: Tensor

    def __init__(self, left: Shape, right: Shape, shape: Shape) -> None:
        super().__init__()
        self.left, self.right, self.rank = left, right, len(shape)
        self.guarded = False
        self.register_buffer("shared", torch.zeros(shape, dtype=torch.bool))

    def guard(self) -> None:
        """Give nothing where nothing is asked for: the quotient may be undefined where it is not chosen."""
        self.guarded = True

    def common(self, depend: Sequence[Tensor]) -> list[Tensor]:
        """Where both sides depend on what is tried, [B, *shape], by where each does: [B, *left] and [B, *right]."""
        left, right = depend
        return [aligned(left, 1, len(self.left), self.rank) & aligned(right, 1, len(self.right), self.rank)]

    def share(self, found: Sequence[Tensor]) -> None:
        """Take in where both sides depend on a common feature, [*shape]."""
        (self.shared,) = found

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        left, right = inputs
        return [aligned(left, 1, len(self.left), self.rank) / aligned(right, 1, len(self.right), self.rank)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m, quotient = only(multipliers), outputs[0]
        b, c = (aligned(value, 2, len(self.right), self.rank) for value in inputs[1])
        of_row = torch.where(self.shared, b.abs() / (b.abs() + c.abs()), 0.5) / b
        of_reference = torch.where(self.shared, c.abs() / (b.abs() + c.abs()), 0.5) / c
        of_left = m * (of_row + of_reference)
        of_right = -m * (of_row * quotient.reference + of_reference * quotient.row)
        if self.guarded and quotient.row is not quotient.reference:
            of_left, of_right = (torch.where(m == 0, torch.zeros_like(share), share) for share in (of_left, of_right))
        return [unbroadcast(of_left, self.left), unbroadcast(of_right, self.right)]


class ConstantDivision(Rule):
    """a / b with a constant a: the rescale rule of 1 / b is -1 / (b b')."""

    reads_inputs = True
    numerator: Tensor

    def __init__(self, numerator: Tensor, right: Shape, shape: Shape) -> None:
        super().__init__()
        self.right, self.shape, self.rank = right, shape, len(shape)
        self.register_buffer("numerator", numerator.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self.numerator / aligned(inputs[0], 1, len(self.right), self.rank)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        (right,) = inputs
        of_inverse = unbroadcast(only(multipliers) * self.numerator, self.right)
        return [of_inverse * (right.row.reciprocal() * -right.reference.reciprocal())]


@rule_for(aten.div.Tensor)
def _divide(call: Call, left: Operand, right: Any) -> Rule:
    if not isinstance(right, Active):
        return Scale(left.shape, constant(call, right).reciprocal(), call.shape)
    if not isinstance(left, Active):
        return ConstantDivision(constant(call, left), right.shape, call.shape)
    return Division(left.shape, right.shape, call.shape)
