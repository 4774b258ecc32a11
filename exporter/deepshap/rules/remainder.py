"""Remainders by a constant: x less whole multiples of it, which are a step function of x."""

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.elementwise import Elementwise, Function
from whyport.exporter.deepshap.rules.quotients import rise
from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import Rule

aten = torch.ops.aten


def _rule(function: Function, divisor: float) -> Rule:
    def quotient(x: Tensor, r: Tensor) -> Tensor:
        multiples, of_reference = (((value - function(value)) / divisor).round() for value in (x, r))
        return 1 - divisor * rise(multiples - of_reference, x, r)

    return Elementwise(function, quotient)


@rule_for(aten.remainder.Scalar)
def _remainder(call: Call, x: Active, divisor: float) -> Rule:
    """With the divisor's sign."""
    return _rule(lambda x: torch.remainder(x, divisor), divisor)


@rule_for(aten.fmod.Scalar)
def _fmod(call: Call, x: Active, divisor: float) -> Rule:
    """With the sign of x."""
    return _rule(lambda x: torch.fmod(x, divisor), divisor)
