"""Circular and hyperbolic functions and their inverses, by quotients without lost digits.

The quotient of an inverse function between two points is one over the function's between the inverse's two values, a
and b. Sums of sines are products of the half sum and the half difference h = (a - b) / 2; a half difference that has
lost its digits matters little, as h / tan h is flat where h is small (DLMF 4.21 and 4.35).
"""

import math
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import quotients
from whyport.exporter.deepshap.rules.elementwise import Elementwise, Function, Quotient, Steep
from whyport.exporter.deepshap.rules.quotients import positive, slope_of_tanh
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, rule_for
from whyport.exporter.deepshap.rules.rule import Rule
from whyport.exporter.deepshap.rules.two_players import TwoPlayers

aten = torch.ops.aten

NEAR = 0.5
"""Up to this half difference, identities; beyond it nothing cancels in the plain quotient."""


def tangent(x: Tensor, r: Tensor) -> Tensor:
    """From tan x - tan r = sin(x - r) / (cos x cos r)."""
    distance = positive(x - r)
    return torch.sin(distance) / distance / (torch.cos(x) * torch.cos(r))


def hyperbolic_sine(x: Tensor, r: Tensor) -> Tensor:
    """From sinh x - sinh r = 2 cosh((x + r) / 2) sinh((x - r) / 2)."""
    half = positive((x - r) * 0.5)
    return torch.cosh((x + r) * 0.5) * torch.sinh(half) / half


def hyperbolic_cosine(x: Tensor, r: Tensor) -> Tensor:
    """From cosh x - cosh r = 2 sinh((x + r) / 2) sinh((x - r) / 2)."""
    half = positive((x - r) * 0.5)
    return torch.sinh((x + r) * 0.5) * torch.sinh(half) / half


def arc_tangent(x: Tensor, r: Tensor) -> Tensor:
    """From tan a - tan b = sin(a - b) / (cos a cos b), with 1 / cos a = sqrt(1 + x^2)."""
    a, b = torch.atan(x), torch.atan(r)
    distance = positive((a - b).clamp(-2 * NEAR, 2 * NEAR))
    secants = (1 + x * x).sqrt() * (1 + r * r).sqrt()
    return _near(a, b, x, r, distance / torch.sin(distance) / secants)


def arc_sine(x: Tensor, r: Tensor) -> Tensor:
    """From sin a - sin b = tan h (cos a + cos b), with cos a = sqrt((1 - x) (1 + x))."""
    a, b = torch.asin(x), torch.asin(r)
    half = positive(((a - b) * 0.5).clamp(-NEAR, NEAR))
    cosines = ((1 - x) * (1 + x)).sqrt() + ((1 - r) * (1 + r)).sqrt()
    return _near(a, b, x, r, 2 * half / (torch.tan(half) * cosines))


def inverse_hyperbolic_sine(x: Tensor, r: Tensor) -> Tensor:
    """From sinh a - sinh b = tanh h (cosh a + cosh b), with cosh a = sqrt(1 + x^2)."""
    half = (torch.asinh(x) - torch.asinh(r)) * 0.5
    return 2 / (slope_of_tanh(half) * ((1 + x * x).sqrt() + (1 + r * r).sqrt()))


def inverse_hyperbolic_cosine(x: Tensor, r: Tensor) -> Tensor:
    """From cosh a - cosh b = tanh h (sinh a + sinh b), with sinh a = sqrt((x - 1) (x + 1))."""
    half = (torch.acosh(x) - torch.acosh(r)) * 0.5
    return 2 / (slope_of_tanh(half) * (((x - 1) * (x + 1)).sqrt() + ((r - 1) * (r + 1)).sqrt()))


def inverse_hyperbolic_tangent(x: Tensor, r: Tensor) -> Tensor:
    """From tanh a - tanh b = tanh(a - b) (1 - x r)."""
    distance = torch.atanh(x) - torch.atanh(r)
    near_one = (1 - x.abs()) + x.abs() * (1 - r.abs())
    return 1 / (slope_of_tanh(distance) * torch.where(x * r > 0, near_one, 1 - x * r))


def logit(x: Tensor, r: Tensor) -> Tensor:
    """From sigmoid a - sigmoid b = tanh h (x (1 - r) + r (1 - x)), where x = sigmoid a."""
    half = (torch.logit(x) - torch.logit(r)) * 0.5
    return 2 / (slope_of_tanh(half) * (x * (1 - r) + r * (1 - x)))


def _near(a: Tensor, b: Tensor, x: Tensor, r: Tensor, identity: Tensor) -> Tensor:
    return torch.where((a - b).abs() < 2 * NEAR, identity, (a - b) / (x - r))


_SMOOTH: dict[Any, tuple[Function, Quotient]] = {
    aten.atan.default: (torch.atan, arc_tangent),
    aten.asinh.default: (torch.asinh, inverse_hyperbolic_sine),
    aten.sin.default: (torch.sin, quotients.sine),
    aten.cos.default: (torch.cos, lambda x, r: quotients.sine(x + math.pi / 2, r + math.pi / 2)),
}
# Their values can be infinite, or undefined.
_UNBOUNDED: dict[Any, tuple[Function, Quotient]] = {
    aten.tan.default: (torch.tan, tangent),
    aten.sinh.default: (torch.sinh, hyperbolic_sine),
    aten.cosh.default: (torch.cosh, hyperbolic_cosine),
    aten.asin.default: (torch.asin, arc_sine),
    aten.acos.default: (torch.acos, lambda x, r: -arc_sine(x, r)),
    aten.acosh.default: (torch.acosh, inverse_hyperbolic_cosine),
    aten.atanh.default: (torch.atanh, inverse_hyperbolic_tangent),
}


@rule_for(*_SMOOTH)
def _smooth(call: Call, x: Active) -> Rule:
    return Elementwise(*_SMOOTH[call.operator])


@rule_for(*_UNBOUNDED)
def _unbounded(call: Call, x: Active) -> Rule:
    return Steep(*_UNBOUNDED[call.operator])


@rule_for(aten.logit.default)
def _logit(call: Call, x: Active, margin: float | None = None) -> Rule:
    """log(x / (1 - x)), of x clamped to the margin from 0 and 1."""
    if margin is None:
        return Steep(torch.logit, logit)

    def inside(x: Tensor) -> Tensor:
        return x.clamp(margin, 1 - margin)

    return Elementwise(
        lambda x: torch.logit(inside(x)),
        lambda x, r: logit(inside(x), inside(r)) * quotients.clamp(x, r, margin, 1 - margin),
    )


def angle_by_height(y: Tensor, r: Tensor, x: Tensor) -> Tensor:
    """The quotient of atan2(y, x) between two y.

    The difference d of the two angles has cos d ~ x^2 + y r and sin d ~ x (y - r). A difference across the negative
    half-axis, where the angle jumps, is taken as it is.
    """
    crosses = (x < 0) & ((y < 0) != (r < 0))
    return _angle(torch.atan2(y, x), torch.atan2(r, x), y - r, x, x * x + y * r, crosses)


def angle_by_width(x: Tensor, r: Tensor, y: Tensor) -> Tensor:
    """The quotient of atan2(y, x) between two x: cos d ~ y^2 + x r and sin d ~ -y (x - r)."""
    return _angle(torch.atan2(y, x), torch.atan2(y, r), x - r, -y, y * y + x * r, torch.zeros_like(y, dtype=torch.bool))


def _angle(a: Tensor, b: Tensor, change: Tensor, sine: Tensor, cosine: Tensor, crosses: Tensor) -> Tensor:
    """d / change: with t = sine change / cosine, atan(t) / t times sine / cosine; the plain quotient for a large d."""
    slope = sine / cosine
    t = positive(slope * change)
    near = (t < 1) & (cosine > 0) & ~crosses
    plain = quotients.ratio(a - b, change, 0.0)
    return torch.where(near, slope * torch.atan(t) / t, plain)


@rule_for(aten.atan2.default)
def _arc_tangent_of_two(call: Call, y: Operand, x: Operand) -> Rule:
    """The angle of a point: two players, or one where the other is constant."""
    shapes = (tuple(y.shape), tuple(x.shape), call.shape)
    if isinstance(y, Active) and isinstance(x, Active):
        return TwoPlayers(shapes, torch.atan2, angle_by_height, angle_by_width)
    return call.refuse(" of a constant")
