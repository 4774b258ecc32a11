"""The alternative to whyport's rule for softmax: the rules of the operators in its stable computation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import quotients
from whyport.exporter.deepshap.rules.maximum import players
from whyport.exporter.deepshap.rules.registry import RULES, Active, Call
from whyport.exporter.deepshap.rules.rule import Pair, Rule, only

SOFTMAX = torch.ops.aten._softmax.default


class ComposedSoftmax(Rule):
    """e * 1 / s over the last axis, with e = exp(x - max x) and s = sum e: the maximum is a player of its own."""

    reads_inputs = True

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [torch.softmax(inputs[0], -1)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        x, r = inputs[0]
        z, t = (value - value.amax(-1, keepdim=True) for value in inputs[0])
        e = Pair(z.exp(), t.exp())
        inverse = Pair(*(value.sum(-1, keepdim=True).reciprocal() for value in e))
        of_inverse = (m * e.mean()).sum(-1, keepdim=True)
        of_e = m * inverse.mean() - of_inverse * inverse.row * inverse.reference
        of_z = of_e * quotients.exponential(z, t)
        return [of_z - of_z.sum(-1, keepdim=True) * players(x, r)]


@contextmanager
def composed_softmax() -> Iterator[None]:
    """Use the composed rule for softmax in all programs that are built inside the context."""
    direct = RULES[SOFTMAX]

    def build(call: Call, x: Active, axis: int, *_: object) -> Rule:
        if axis % x.ndim != x.ndim - 1:
            call.refuse(" but along the last axis")
        return ComposedSoftmax()

    RULES[SOFTMAX] = build
    try:
        yield
    finally:
        RULES[SOFTMAX] = direct
