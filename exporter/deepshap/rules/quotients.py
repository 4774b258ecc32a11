"""The rescale rule's quotient (f(x) - f(r)) / (x - r) of smooth functions, and its limit f'(x) where r = x.

Plain quotients lose every digit where x and r are near. Each formula here is an identity that subtracts no two values
of f, so it is exact to rounding on all of the plane, in either precision, and needs no switch to the derivative.
"""

import torch
from torch import Tensor

# Gauss-Legendre nodes and weights on [0, 1]: with 6 of them the error is below 1e-15 here.
_NODES = [0.03376524289842397, 0.16939530676686776, 0.38069040695840156]
_NODES += [1 - node for node in reversed(_NODES)]
_WEIGHTS = [0.08566224618958525, 0.1803807865240693, 0.23395696728634546]
_WEIGHTS += reversed(_WEIGHTS)

_NEAR = 0.5
"""Below this distance, the mean of the derivative replaces the quotient of functions without an identity."""


def ratio(numerator: Tensor, denominator: Tensor, limit: Tensor | float) -> Tensor:
    """numerator / denominator, or the limit where the denominator is 0."""
    return torch.where(denominator == 0, limit, numerator / denominator)


def positive(distance: Tensor) -> Tensor:
    """|z|, but above 0: an even f(z) / z reaches its limit to rounding long before, and is not 0 / 0."""
    # Not 0, and far below the rounding of any distance.
    return distance.abs().clamp(min=1e-30)


def decay(distance: Tensor) -> Tensor:
    """(1 - exp(-|z|)) / |z|; 1 at 0. With t = tanh(|z| / 2), 1 - exp(-|z|) = 2 t / (1 + t)."""
    half = positive(distance) * 0.5
    t = torch.tanh(half)
    return t / (half * (1 + t))


def slope_of_log(distance: Tensor) -> Tensor:
    """log(1 + z) / z; 1 at 0. What rounding 1 + z loses, it loses in both; Higham 2002, section 1.14.1."""
    one_more = 1 + distance
    return ratio(torch.log(one_more), one_more - 1, 1.0)


def slope_of_tanh(distance: Tensor) -> Tensor:
    """tanh(z) / z; 1 at 0."""
    z = positive(distance)
    return torch.tanh(z) / z


def exponential(x: Tensor, r: Tensor) -> Tensor:
    """The logarithmic mean of exp(x) and exp(r)."""
    return torch.maximum(x, r).exp() * decay(x - r)


def logarithm(x: Tensor, r: Tensor) -> Tensor:
    """One over the logarithmic mean of x and r."""
    low = torch.minimum(x, r)
    return slope_of_log((x - r).abs() / low) / low


def tanh(x: Tensor, r: Tensor) -> Tensor:
    """From tanh x - tanh r = tanh(x - r) (1 - tanh x tanh r)."""
    return slope_of_tanh(x - r) * (1 - torch.tanh(x) * torch.tanh(r))


def sigmoid(x: Tensor, r: Tensor) -> Tensor:
    """As tanh, with sigmoid(x) = (1 + tanh(x / 2)) / 2."""
    a, b = torch.sigmoid(x), torch.sigmoid(r)
    return slope_of_tanh((x - r) * 0.5) * 0.5 * (a * (1 - b) + b * (1 - a))


def softplus(x: Tensor, r: Tensor) -> Tensor:
    """From softplus p - softplus q = -log1p(-sigmoid(p) (1 - exp(q - p))) for p >= q; far apart nothing cancels."""
    functional = torch.nn.functional
    distance = x - r
    apart = distance.abs()
    upper = torch.sigmoid(torch.maximum(x, r))
    share = upper * decay(apart.clamp(max=1.0))
    near = share * slope_of_log(-share * apart.clamp(max=1.0))
    far = ratio(functional.softplus(x, threshold=100.0) - functional.softplus(r, threshold=100.0), distance, 0.0)
    return torch.where(apart < 1, near, far)


def normal_distribution(x: Tensor, r: Tensor) -> Tensor:
    """The quotient of Phi(x) = (1 + erf(x / sqrt 2)) / 2: the mean of its density between near points."""
    distance = x - r
    near = torch.zeros_like(distance)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        near = near + (r + node * distance).square().mul(-0.5).exp() * weight
    far = ratio(torch.special.ndtr(x) - torch.special.ndtr(r), distance, 0.0)
    return torch.where(distance.abs() < _NEAR, near * (2 * torch.pi) ** -0.5, far)


def power(x: Tensor, r: Tensor, exponent: float | Tensor) -> Tensor:
    """From the larger M, the smaller m and d = 1 - m / M: M^(p - 1) (1 - (m / M)^p) / d, for p > 0 and M >= m >= 0.

    With z = -p log(m / M), the last factor is (1 - exp(-z)) / d: z / d times `decay` where z is small.
    """
    low, high = torch.minimum(x, r), torch.maximum(x, r)
    d = ratio(high - low, high, 0.0)
    slope = exponent * torch.where(d < _NEAR, slope_of_log(-d), -torch.log(low / high) / d)
    z = slope * d
    return high.pow(exponent - 1) * torch.where(z < 1, slope * decay(z), (1 - torch.exp(-z)) / d)


def square_root(x: Tensor, r: Tensor) -> Tensor:
    """1 / (sqrt x + sqrt r)."""
    return (x.sqrt() + r.sqrt()).reciprocal()


def reciprocal(x: Tensor, r: Tensor) -> Tensor:
    """-1 / (x r)."""
    return x.reciprocal() * -r.reciprocal()


def integer_power(x: Tensor, r: Tensor, exponent: int) -> Tensor:
    """x^(n-1) + x^(n-2) r + ... + r^(n-1), by Horner's scheme."""
    total, power = torch.ones_like(x - r), torch.ones_like(r)
    for _ in range(exponent - 1):
        power = power * r
        total = total * x + power
    return total


def sine(x: Tensor, r: Tensor) -> Tensor:
    """From sin x - sin r = 2 cos((x + r) / 2) sin((x - r) / 2)."""
    half = positive((x - r) * 0.5)
    return torch.cos((x + r) * 0.5) * torch.sin(half) / half


def piecewise_linear(x: Tensor, r: Tensor, value: Tensor, of_reference: Tensor, limit: Tensor) -> Tensor:
    """The plain quotient: each value of such a function is one of few exact floats, so that nothing cancels."""
    return torch.where(x == r, limit, (value - of_reference) / (x - r))


def rise(change: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """The quotient of a step function, from its change; 0 where nothing changes."""
    return torch.where(change == 0, torch.zeros_like(change), change / (x - r))


def relu(x: Tensor, r: Tensor) -> Tensor:
    """The derivative at 0 is 0."""
    return piecewise_linear(x, r, x.relu(), r.relu(), (x > 0).to(x.dtype))


def clamp(x: Tensor, r: Tensor, low: float | None, high: float | None) -> Tensor:
    """Clipping to a constant range, either end of which may be open."""
    value, of_reference = x.clamp(low, high), r.clamp(low, high)
    return piecewise_linear(x, r, value, of_reference, (value == x).to(x.dtype))


def absolute(x: Tensor, r: Tensor) -> Tensor:
    """(x + r) / (|x| + |r|): the derivative at 0 is 0."""
    return ratio(x + r, x.abs() + r.abs(), 0.0)
