"""Elementwise functions: the rescale rule, output difference over input difference.

Shrikumar et al. 2017, arXiv:1704.02685, section 3.5.1; Lundberg & Lee 2017, arXiv:1705.07874, section 4.2.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from whyport.exporter.deepshap.rules import quotients
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Kernel, Pair, Rule, only, settled
from whyport.runtime.bundle.deepshap import KernelName

aten = torch.ops.aten

Function = Callable[[Tensor], Tensor]
Quotient = Callable[[Tensor, Tensor], Tensor]


class Elementwise(Rule):
    """y = f(x), with the quotient (f(x) - f(r)) / (x - r)."""

    reads_inputs = True

    def __init__(self, function: Function, quotient: Quotient, *, keeps_finite: bool = True) -> None:
        super().__init__()
        self.function, self.quotient, self.keeps_finite = function, quotient, keeps_finite

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self.function(inputs[0])]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m, x = only(multipliers), inputs[0]
        share = m * self.quotient(*x)
        # Where nothing is asked for, as of a side that is not chosen, nothing is given, however steep it is.
        return [share if self.keeps_finite or x.row is x.reference else torch.where(m == 0, torch.zeros_like(m), share)]


class Steep(Elementwise):
    """A function that can be infinite or undefined, or whose slope can."""

    def __init__(self, function: Function, quotient: Quotient) -> None:
        super().__init__(function, quotient, keeps_finite=False)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        (m,) = super().propagate(multipliers, inputs, outputs)
        return [settled(m, inputs[0])]


# Functions without parameters.
_PLAIN: dict[Any, tuple[Function, Quotient]] = {
    aten.relu.default: (torch.relu, quotients.relu),
    aten.sigmoid.default: (torch.sigmoid, quotients.sigmoid),
    aten.tanh.default: (torch.tanh, quotients.tanh),
    aten.abs.default: (torch.abs, quotients.absolute),
    aten.silu.default: (functional.silu, lambda x, r: _gated(x, r, torch.sigmoid, quotients.sigmoid)),
    aten.erf.default: (torch.erf, lambda x, r: _erf(x, r)),
    aten.erfc.default: (torch.erfc, lambda x, r: -_erf(-x, -r)),
}

# Their values can be infinite; their slopes only where they are.
_GROWING: dict[Any, tuple[Function, Quotient]] = {
    aten.exp.default: (torch.exp, quotients.exponential),
    aten.expm1.default: (torch.expm1, quotients.exponential),
}
_STEEP: dict[Any, tuple[Function, Quotient]] = {
    aten.log.default: (torch.log, quotients.logarithm),
    aten.log1p.default: (torch.log1p, lambda x, r: quotients.logarithm(1 + x, 1 + r)),
    aten.sqrt.default: (torch.sqrt, quotients.square_root),
}


@rule_for(*_GROWING)
def _growing(call: Call, x: Active) -> Rule:
    return Elementwise(*_GROWING[call.operator], keeps_finite=False)


@rule_for(*_STEEP)
def _steep(call: Call, x: Active) -> Rule:
    return Steep(*_STEEP[call.operator])


@rule_for(*_PLAIN)
def _plain(call: Call, x: Active) -> Rule:
    rule = Elementwise(*_PLAIN[call.operator])
    if call.operator is aten.relu.default:
        rule.kernel = Kernel(KernelName.RELU, {})
    return rule


@rule_for(aten.leaky_relu.default)
def _leaky_relu(call: Call, x: Active, slope: float = 0.01) -> Rule:
    def quotient(x: Tensor, r: Tensor) -> Tensor:
        return slope + (1 - slope) * quotients.relu(x, r)

    return Elementwise(lambda x: functional.leaky_relu(x, slope), quotient)


class ParametricReLU(Rule):
    """max(0, x) + slope * min(0, x) with a slope for each channel."""

    reads_inputs = True
    slope: Tensor

    def __init__(self, slope: Tensor) -> None:
        super().__init__()
        self.register_buffer("slope", slope.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [inputs[0].clamp(min=0) + self.slope * inputs[0].clamp(max=0)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        return [only(multipliers) * (self.slope + (1 - self.slope) * quotients.relu(*inputs[0]))]


@rule_for(aten.prelu.default)
def _prelu(call: Call, x: Active, slope: Operand) -> Rule:
    slope = constant(call, slope)
    by_channel = slope.ndim == 1 and x.ndim > 1
    return ParametricReLU(slope.reshape(-1, *[1] * (x.ndim - 2)) if by_channel else slope)


@rule_for(aten.celu.default)
def _celu(call: Call, x: Active, alpha: float = 1) -> Rule:
    """Barron 2017, arXiv:1704.07483: max(0, x) + min(0, alpha expm1(x / alpha))."""
    return _elu(call, x, alpha, 1, 1 / alpha)


@rule_for(aten.elu.default)
def _elu(call: Call, x: Active, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Rule:
    """The sum of a function of the positive part and one of the negative part."""

    def quotient(x: Tensor, r: Tensor) -> Tensor:
        positive = quotients.relu(x, r)
        negative = quotients.exponential(x.clamp(max=0) * input_scale, r.clamp(max=0) * input_scale)
        return scale * (positive + alpha * input_scale * negative * (1 - positive))

    return Elementwise(lambda x: aten.elu(x, alpha, scale, input_scale), quotient)


@rule_for(aten.gelu.default)
def _gelu(call: Call, x: Active, *, approximate: str = "none") -> Rule:
    """x Phi(x), or x sigmoid(2 u(x)) with u cubic; Hendrycks & Gimpel 2016, arXiv:1606.08415."""
    if approximate == "none":

        def quotient(x: Tensor, r: Tensor) -> Tensor:
            return _gated(x, r, torch.special.ndtr, quotients.normal_distribution)

    else:
        slope, cube = 2 * math.sqrt(2 / math.pi), 0.044715

        def gate(x: Tensor) -> Tensor:
            return torch.sigmoid(slope * (x + cube * x * x * x))

        def gate_quotient(x: Tensor, r: Tensor) -> Tensor:
            inner = quotients.sigmoid(slope * (x + cube * x * x * x), slope * (r + cube * r * r * r))
            return inner * slope * (1 + cube * quotients.integer_power(x, r, 3))

        def quotient(x: Tensor, r: Tensor) -> Tensor:
            return _gated(x, r, gate, gate_quotient)

    return Elementwise(lambda x: functional.gelu(x, approximate=approximate), quotient)


@rule_for(aten.softplus.default)
def _softplus(call: Call, x: Active, beta: float = 1, threshold: float = 20) -> Rule:
    """log(1 + exp(beta x)) / beta up to beta x = threshold, and x beyond: down by a step there."""

    def quotient(x: Tensor, r: Tensor) -> Tensor:
        x, r = x * beta, r * beta
        beyond = (x > threshold).to(x.dtype) - (r > threshold).to(x.dtype)
        step = beyond * functional.softplus(-torch.where(beyond > 0, x, r), threshold=100.0)
        below = quotients.softplus(x, r) - quotients.ratio(step, x - r, 0.0)
        return torch.where(torch.minimum(x, r) > threshold, torch.ones_like(below), below)

    return Elementwise(lambda x: functional.softplus(x, beta, threshold), quotient)


@rule_for(aten.clamp.default, aten.hardtanh.default)
def _clamp(call: Call, x: Active, low: float | None = None, high: float | None = None) -> Rule:
    if call.operator is aten.hardtanh.default:
        low, high = (-1.0 if low is None else low), (1.0 if high is None else high)
    return Elementwise(lambda x: x.clamp(low, high), lambda x, r: quotients.clamp(x, r, low, high))


@rule_for(aten.pow.Tensor_Scalar)
def _power(call: Call, x: Active, exponent: float) -> Rule:
    return power(exponent)


def power(exponent: float) -> Elementwise:
    """x^exponent: of a whole number for every x, otherwise for x >= 0."""
    if exponent == 0:
        return Elementwise(torch.ones_like, lambda x, r: torch.zeros_like(x - r))
    root = _positive_power(abs(exponent))
    return root if exponent > 0 else Inverse(root)


def _positive_power(exponent: float) -> Elementwise:
    if exponent == int(exponent):
        return Elementwise(
            lambda x: x.pow(exponent), lambda x, r: quotients.integer_power(x, r, int(exponent)), keeps_finite=False
        )
    return Steep(lambda x: x.pow(exponent), lambda x, r: quotients.power(x, r, exponent))


class Inverse(Steep):
    """1 / f(x); `under` is the rule of f, or None where it is x itself."""

    def __init__(self, under: Elementwise | None) -> None:
        def value(x: Tensor) -> Tensor:
            return x if under is None else under.function(x)

        def quotient(x: Tensor, r: Tensor) -> Tensor:
            of_inverse = quotients.reciprocal(value(x), value(r))
            return of_inverse if under is None else of_inverse * under.quotient(x, r)

        super().__init__(lambda x: value(x).reciprocal(), quotient)
        self.under = under


@rule_for(aten.reciprocal.default)
def _reciprocal(call: Call, x: Active) -> Rule:
    return Inverse(None)


@rule_for(aten.rsqrt.default)
def _inverse_square_root(call: Call, x: Active) -> Rule:
    return Inverse(Steep(*_STEEP[aten.sqrt.default]))


def _gated(x: Tensor, r: Tensor, gate: Function, gate_quotient: Quotient) -> Tensor:
    """The quotient of x * gate(x), by the product rule, whose two players are here the same value."""
    return (gate(x) + gate(r)) * 0.5 + (x + r) * 0.5 * gate_quotient(x, r)


def _erf(x: Tensor, r: Tensor) -> Tensor:
    root = math.sqrt(2)
    return 2 * root * quotients.normal_distribution(x * root, r * root)
