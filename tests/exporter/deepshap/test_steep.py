"""Where a slope is infinite or undefined, shares are finite and of the size of exact Shapley values."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.oracles import attribute, uneven_weights
from support.reference import exact_shapley
from whyport.exporter.deepshap import build_program

FEATURES = 5
Function = Callable[[Tensor], Tensor]


def mean_square(x: Tensor) -> Tensor:
    return x.square().mean(1, keepdim=True)


def deviation(x: Tensor) -> Tensor:
    return x - x.mean(1, keepdim=True)


def prototypes(x: Tensor) -> Tensor:
    return torch.linspace(-1, 2, 15, dtype=x.dtype).reshape(1, 3, 5)


def relu_power(x: Tensor, exponent: float) -> Tensor:
    return F.relu(x - 1) ** exponent


# Functions of values that are not negative; some rows and references are 0.
STEEP: dict[str, Function] = {
    "square root": torch.sqrt,
    "square root of relu": lambda x: F.relu(x - 1).sqrt(),
    **{f"power {p:.2g}": partial(torch.pow, exponent=p) for p in (0.3, 1 / 3, 0.5, 1.5, 2.2, 2.5)},
    **{f"relu to the power {p:.2g}": partial(relu_power, exponent=p) for p in (0.3, 0.5, 1.5, 2.2)},
    "logarithm with a margin": lambda x: torch.log(x + 1e-12),
    "entropy": lambda x: x * torch.log(x + 1e-12),
    "norm": lambda x: x.norm(dim=1, keepdim=True),
    "norm without its axis": lambda x: torch.cat([x, x.norm(dim=1)[:, None]], 1),
    **{f"norm of order {p}": partial(torch.linalg.vector_norm, ord=p, dim=1, keepdim=True) for p in (1, 1.5, 3)},
    "largest norm": lambda x: torch.linalg.vector_norm(x, torch.inf, dim=1, keepdim=True),
    "root of a sum of squares": lambda x: x.square().sum(1, keepdim=True).sqrt(),
    "standard deviation": lambda x: x.std(1, keepdim=True),
    "root of the variance": lambda x: x.var(1, keepdim=True).sqrt(),
    "pairwise distance": lambda x: F.pairwise_distance(x[:, None], prototypes(x) * 0 + 1),
    "distance of halves": lambda x: F.pairwise_distance(x[:, :2], x[:, 2:4], keepdim=True, eps=0),
    "normalize": lambda x: F.normalize(x, dim=1),
    "normalize relu": lambda x: F.normalize(F.relu(x - 1), dim=1),
    **{f"normalize by order {p}": partial(F.normalize, p=p, dim=1) for p in (1.0, 3.0, torch.inf)},
    "cosine similarity": lambda x: F.cosine_similarity(x[:, None], prototypes(x), dim=2),
    "cosine similarity of halves": lambda x: F.cosine_similarity(x[:, :2], x[:, 2:4], dim=1)[:, None],
    "layer norm": lambda x: F.layer_norm(x, (FEATURES,)),
    "rms norm": lambda x: F.rms_norm(x, (FEATURES,), eps=1e-6),
    "rms norm by hand": lambda x: x * torch.rsqrt(mean_square(x) + 1e-6),
    "rms norm by a power": lambda x: x * (mean_square(x) + 1e-12) ** -0.5,
    "product with an inverse norm": lambda x: x * (1 / (x.norm(dim=1, keepdim=True) + 1e-12)),
    "product with a scaled inverse": lambda x: x * (torch.rsqrt(mean_square(x) + 1e-12) * 3).expand(-1, FEATURES),
    "quotient of a constant": lambda x: x * torch.div(x.new_full((1,), 2.0), x.norm(dim=1, keepdim=True) + 1e-12),
    "standard score": lambda x: deviation(x) / (x.std(1, keepdim=True) + 1e-6),
    "over the standard deviation": lambda x: x / (x.std(1, keepdim=True) + 1e-6),
    "over the sum": lambda x: x / (x.sum(1, keepdim=True) + 1e-9),
    "over the largest": lambda x: x / (x.amax(1, keepdim=True) + 1e-9),
    "signal to noise": lambda x: x.mean(1, keepdim=True) / (x.std(1, keepdim=True) + 1e-6),
    "squash": lambda x: x * (s := x.square().sum(1, keepdim=True)) / (1 + s) / (s + 1e-9).sqrt(),
    "harmonic mean": lambda x: 1 / (1 / (x + 1e-9)).sum(1, keepdim=True),
    "geometric mean": lambda x: (x + 1e-12).log().mean(1, keepdim=True).exp(),
}
# An infinite value that the next function makes finite.
TAMED: dict[str, Function] = {
    "logarithm, clamped": lambda x: torch.log(x).clamp(min=-20),
    "logarithm in a maximum": lambda x: torch.maximum(torch.log(x), x.new_tensor(-20.0)),
    "logarithm, clamped to a tensor": lambda x: torch.log(x).clamp(x.new_tensor(-20.0), x.new_tensor([0.1])),
    "inverse in a minimum": lambda x: torch.minimum(x.new_tensor([[3.0]]), 1 / x),
    "logarithm, repaired": lambda x: torch.nan_to_num(torch.log(x), neginf=-20.0),
    "logarithm of what may be negative": lambda x: torch.nan_to_num(torch.log(x - 1), nan=-3.0, neginf=-5.0),
    "logarithm in a sigmoid": lambda x: torch.sigmoid(torch.log(x)),
    "power by a logarithm": lambda x: x.log().exp(),
    "inverse in a tanh": lambda x: torch.tanh(1 / x),
    "inverse root, clamped": lambda x: x.rsqrt().clamp(max=50),
    "negative power in a relu": lambda x: F.relu(x**-1.5).clamp(max=3),
    "inverse of an inverse": lambda x: (1 / x).reciprocal(),
    "overflow, repaired": lambda x: torch.nan_to_num((x * 200).exp(), posinf=9.0).clamp(max=7.0),
    "decibels, repaired": lambda x: torch.nan_to_num(10 * x.log() / math.log(10) - 3, neginf=-60.0),
    "root, repaired": lambda x: torch.nan_to_num((x - 1).sqrt(), nan=-1.0),
}
# A quotient of different features is a game of two players, each of whose states occurs: it is as steep as it is.
EXACT: dict[str, Function] = {
    "quotient of two features": lambda x: x[:, :2] / (x[:, 2:4] + 1e-2),
    "quotient of neighbours": lambda x: x / (x.roll(1, 1) + 1e-2),
}


class Headed(nn.Module):
    def __init__(self, body: Function) -> None:
        super().__init__()
        self.body = body
        width = body(torch.ones(1, FEATURES)).shape[1]
        self.register_buffer("head", torch.linspace(-1, 1, 2 * width).reshape(-1, 2))

    def forward(self, rows: Tensor) -> Tensor:
        return self.body(rows) @ self.head


def explained(body: Function) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shares in float64 and in float32, exact Shapley values [N, C, F], and the differences that they sum to."""
    network = Headed(body)
    generator = torch.Generator().manual_seed(1)
    rows = torch.rand(4, FEATURES, generator=generator, dtype=torch.float64).float().double() + 0.5
    references = torch.rand(3, FEATURES, generator=generator, dtype=torch.float64).float().double() + 0.5
    rows[0], rows[1, 0], rows[2] = 0, 0, references[1]
    references[0] = 0
    weights = uneven_weights(3, torch.float64)
    program = build_program(network, torch.rand(5, FEATURES, generator=generator) + 0.5)
    single = attribute(program, rows.float(), references.float(), weights.float())
    network.double()
    exact = [
        exact_shapley(lambda x: network(torch.from_numpy(x)).numpy(), row, references.numpy(), weights.numpy()).T
        for row in rows.numpy()
    ]
    double = attribute(program.double(), rows, references, weights)
    return double, single.double(), torch.tensor(np.array(exact)), network(rows) - weights @ network(references)


@pytest.mark.parametrize("name", STEEP)
def test_shares_are_finite_add_up_and_are_of_the_size_of_the_exact_ones(name: str) -> None:
    double, single, exact, difference = explained(STEEP[name])
    size = float(exact.abs().max())
    np.testing.assert_allclose(double.sum(2) / size, difference / size, atol=1e-6)
    np.testing.assert_allclose(single / size, double / size, atol=1e-5)
    assert float(double.abs().max()) <= 3 * size


@pytest.mark.parametrize("name", TAMED)
def test_what_is_infinite_in_between_alone_is_exact(name: str) -> None:
    double, single, exact, _ = explained(TAMED[name])
    np.testing.assert_allclose(double, exact, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", EXACT)
def test_quotients_of_different_features_are_exact(name: str) -> None:
    double, _, exact, _ = explained(EXACT[name])
    np.testing.assert_allclose(double, exact, rtol=1e-6, atol=1e-6)
