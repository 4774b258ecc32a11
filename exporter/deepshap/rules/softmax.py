"""Softmax, and the logarithm of a sum of exponentials."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.choice import FARTHEST
from whyport.exporter.deepshap.rules.quotients import decay
from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import Kernel, Pair, Rule, only
from whyport.runtime.bundle.deepshap import KernelName

aten = torch.ops.aten

PAIRED_SIZE = 16
"""Up to this size, a portable graph holds all pairs of a softmax's values in one tensor."""


class Softmax(Rule):
    """p_i = 1 / sum_j exp(x_j - x_i), by the rules for differences, exp, sum and reciprocal.

    With primes for the reference, the multiplier of x_j - x_i in p_i is the rescale rule of exp times that of 1 / s:

        (exp(x_j - x_i) - exp(x'_j - x'_i)) / (difference of the exponents) * (-p_i p'_i)

    As p_i exp(x_j - x_i) = p_j, this is -M_ij, where M_ij = M_ji is the logarithmic mean of p_i p'_j and p_j p'_i:
    within [0, 1] for any logits, and p_i p_j where nothing changes. Hence the multiplier of x_i is
    sum_j M_ij (m_i - m_j), the form of softmax's own derivative. A shift common to all x has no share, as it has no
    effect; were the maximum subtracted as a further player, it would have one.
    """

    reads_inputs = True
    reads_outputs = (0,)

    def __init__(self, size: int, axis: int) -> None:
        super().__init__()
        self.size, self.axis = size, axis
        if axis == -1:
            self.kernel = Kernel(KernelName.SOFTMAX, {})

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [torch.softmax(inputs[0], self.axis)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        p, q = outputs[0]
        # A masked logit is -inf in both: its p is 0, and so is its every M.
        change = torch.nan_to_num(inputs[0].difference(), nan=0.0)
        of_input: Tensor | None = None
        for j in range(self.size):
            one = (self.axis, j, 1)
            apart = change - change.narrow(*one)
            mean = torch.maximum(p * q.narrow(*one), q * p.narrow(*one)) * decay(apart)
            share = mean * (m - m.narrow(*one))
            of_input = share if of_input is None else of_input + share
        assert of_input is not None
        return [of_input]

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """All pairs of values at once, where they are few."""
        if self.axis != -1 or self.size > PAIRED_SIZE:
            return self.propagate(multipliers, inputs, outputs)
        m = only(multipliers)
        p, q = outputs[0]
        change = torch.nan_to_num(inputs[0].difference(), nan=0.0)
        apart = change.unsqueeze(-1) - change.unsqueeze(-2)
        products = p.unsqueeze(-1) * q.unsqueeze(-2)
        mean = torch.maximum(products, products.transpose(-1, -2)) * decay(apart)
        return [(mean * (m.unsqueeze(-1) - m.unsqueeze(-2))).sum(-1)]


class SafeSoftmax(Softmax):
    """Softmax that is 0 where a mask leaves nothing, as attention's is."""

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (x,) = inputs
        (p,) = super().activate(inputs)
        nothing = x.amax(self.axis, keepdim=True) <= -FARTHEST / 2
        return [torch.where(nothing, torch.zeros_like(p), p)]


class LogSumExp(Rule):
    """log s with s = sum_j exp(x_j), by the rules for exp, sum and log.

    With L the logarithmic mean, the multiplier of x_j is L(exp x_j, exp x'_j) / L(s, s'), here divided through by
    the larger of s and s', so that nothing overflows.
    """

    reads_inputs = True
    reads_outputs = (0,)

    def __init__(self, axes: list[int], keep: bool) -> None:
        super().__init__()
        self.axes, self.keep = sorted(axes), keep

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [torch.logsumexp(inputs[0], self.axes, self.keep)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m, (s, t) = self._kept(only(multipliers)), (self._kept(value) for value in outputs[0])
        x, r = inputs[0]
        weight = torch.exp(torch.maximum(x, r) - torch.maximum(s, t)) * decay(x - r)
        return [m * (weight / decay(s - t))]

    def _kept(self, value: Tensor) -> Tensor:
        if not self.keep:
            for axis in reversed(self.axes):
                value = value.unsqueeze(axis)
        return value


class LogSoftmax(LogSumExp):
    """x - log sum_j exp(x_j)."""

    reads_outputs = (1,)

    def __init__(self, axis: int) -> None:
        super().__init__([axis], keep=True)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (total,) = super().activate(inputs)
        return [inputs[0] - total, total]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        (of_input,) = super().propagate([-m.sum(self.axes, keepdim=True)], inputs, outputs)
        return [m + of_input]


@rule_for(aten._softmax.default)
def _softmax(call: Call, x: Active, axis: int, *_: object) -> Rule:
    return Softmax(x.shape[axis], axis % x.ndim - x.ndim)


@rule_for(aten._safe_softmax.default)
def _safe_softmax(call: Call, x: Active, axis: int, *_: object) -> Rule:
    return SafeSoftmax(x.shape[axis], axis % x.ndim - x.ndim)


@rule_for(aten._log_softmax.default)
def _log_softmax(call: Call, x: Active, axis: int, *_: object) -> Rule:
    return LogSoftmax(axis % x.ndim - x.ndim)


@rule_for(aten.logsumexp.default)
def _logsumexp(call: Call, x: Active, axes: list[int], keep: bool = False) -> Rule:
    return LogSumExp([axis % x.ndim - x.ndim for axis in axes], keep)
