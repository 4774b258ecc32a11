"""Powers and exponentials of any base, logarithms to any base, and powers of two activations."""

import math

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import quotients
from whyport.exporter.deepshap.rules.elementwise import Elementwise, Quotient, Steep, power
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Rule
from whyport.exporter.deepshap.rules.two_players import TwoPlayers

aten = torch.ops.aten


@rule_for(aten.exp2.default)
def _power_of_two(call: Call, x: Active) -> Rule:
    return Elementwise(torch.exp2, of_exponent(2.0), keeps_finite=False)


@rule_for(aten.pow.Scalar)
def _power_of_number(call: Call, base: float, x: Active) -> Rule:
    if base <= 0:
        call.refuse(f" of the base {base}")
    return Elementwise(lambda x: torch.pow(base, x), of_exponent(base), keeps_finite=False)


@rule_for(aten.log2.default, aten.log10.default)
def _logarithm(call: Call, x: Active) -> Rule:
    function, base = (torch.log2, 2.0) if call.operator is aten.log2.default else (torch.log10, 10.0)
    return Steep(function, lambda x, r: quotients.logarithm(x, r) / math.log(base))


@rule_for(aten.pow.Tensor_Tensor)
def _power(call: Call, base: Operand, exponent: Operand) -> Rule:
    """a^b of two players, for a >= 0; of one where the other is the same everywhere."""
    if isinstance(base, Active) and isinstance(exponent, Active):
        return TwoPlayers((base.shape, exponent.shape, call.shape), torch.pow, of_base, _of_exponent)
    if isinstance(base, Active):
        exponents = constant(call, exponent)
        if exponents.min() == exponents.max() and tuple(base.shape) == call.shape:
            return power(float(exponents.max()))
        call.refuse(" with exponents that differ")
    bases = constant(call, base)
    if bases.min() == bases.max() and tuple(exponent.shape) == call.shape:
        return _power_of_number(call, float(bases.max()), exponent)
    return call.refuse(" with bases that differ")


def of_exponent(base: float) -> Quotient:
    """The quotient of base^x."""
    rate = math.log(base)
    return lambda x, r: quotients.exponential(x * rate, r * rate) * rate


def of_base(x: Tensor, r: Tensor, exponent: Tensor) -> Tensor:
    """The quotient of x^exponent, with x >= 0: by the positive power, or the inverse of one."""
    size = exponent.abs()
    upward = quotients.power(x, r, size)
    downward = upward * quotients.reciprocal(x.pow(size), r.pow(size))
    return torch.where(exponent == 0, 0.0, torch.where(exponent > 0, upward, downward))


def _of_exponent(x: Tensor, r: Tensor, base: Tensor) -> Tensor:
    """The quotient of base^x; of the base 0, the plain one."""
    rate = base.log()
    plain = (torch.pow(base, x) - torch.pow(base, r)) / (x - r)
    smooth = quotients.exponential(x * rate, r * rate) * rate
    return torch.where(base > 0, smooth, torch.where(x == r, 0.0, plain))
