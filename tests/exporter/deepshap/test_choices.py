"""Comparisons and choices: the Shapley value of their players, also where a side that is not chosen is undefined."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.oracles import attribute, incompleteness, sample, uneven_weights
from support.reference import exact_shapley
from whyport.exporter.deepshap import build_program
from whyport.runtime.errors import UnsupportedOperatorError

FEATURES = 4
Function = Callable[[Tensor], Tensor]


class Of(nn.Module):
    """A function as a network, with two scores."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: Tensor) -> Tensor:
        scores = self.function(rows).to(rows.dtype)
        return torch.stack([scores.sum(1), scores[:, 0] * 2], 1)


def explained(function: Function, rows: Tensor, references: Tensor) -> Tensor:
    """Shares [N, C, F] in the rows' precision, against references of uneven weights."""
    program = build_program(Of(function), rows.float()).to(rows.dtype)
    return attribute(program, rows, references, uneven_weights(len(references), rows.dtype))


# Every feature occurs once: the operator's players are the features.
APART: dict[str, Function] = {
    "choice": lambda x: torch.where(x[:, :1] > 0, x[:, 1:2], 3 * x[:, 2:3]),
    "choice by a comparison": lambda x: torch.where(x[:, :1] > 0.2, x[:, 1:2], 1.5) + (x[:, 2:3] <= x[:, 3:4]) * 2.0,
    "choice between constants": lambda x: torch.where(x < 0.1, 2.0, -1.0),
    "masked product": lambda x: x[:, :2] * (x[:, 2:] >= 0),
    "comparison of two": lambda x: (x[:, :2] > x[:, 2:]).float(),
    "equality of two": lambda x: (x[:, :2].round() == x[:, 2:].round()).float(),
    "both": lambda x: ((x[:, :2] > 0) & (x[:, 2:] > 0)).float(),
    "either": lambda x: ((x[:, :2] > 0) | (x[:, 2:] > 0)).float(),
    "one alone": lambda x: ((x[:, :2] > 0) ^ (x[:, 2:] > 0)).float(),
    "not both": lambda x: torch.logical_not((x[:, :2] > 0).logical_and(x[:, 2:] > 0)).float(),
    "any": lambda x: (x > 0.5).any(1, keepdim=True).float(),
    "all": lambda x: (x > -0.5).all(1, keepdim=True).float(),
    "count": lambda x: (x > 0).sum(1, keepdim=True).float(),
    "whole numbers": lambda x: x.floor() + 2 * x.ceil() + 3 * x.round() + 4 * x.trunc() + 5 * x.sign(),
    "shrinking": lambda x: (
        nn.functional.hardshrink(x) + nn.functional.softshrink(x) + nn.functional.threshold(x, 0.1, -1)
    ),
    "leaky relu by hand": lambda x: torch.where(x > 0, x, 0.1 * x),
}


@pytest.mark.parametrize("name", APART)
def test_where_every_feature_is_one_player_the_shares_are_shapley_values(name: str) -> None:
    rows, references = (1.5 * sample(n, FEATURES, seed, torch.float64) for n, seed in ((7, 1), (4, 2)))
    rows[0, 0], references[0], rows[1] = 0, 0, references[1]
    network, weights = Of(APART[name]), uneven_weights(4, torch.float64).numpy()
    got = explained(APART[name], rows, references)
    for row, shares in zip(rows.numpy(), got, strict=True):
        exact = exact_shapley(lambda x: network(torch.from_numpy(x)).numpy(), row, references.numpy(), weights)
        np.testing.assert_allclose(shares, exact.T, atol=1e-10)


UNDEFINED: dict[str, Function] = {
    "logarithm of what is positive": lambda x: torch.where(x > 0, x.log(), -3.0),
    "root of what is positive": lambda x: torch.where(x > 0, x.sqrt(), x),
    "mean of what is there": lambda x: torch.where(
        (x > 0).sum(1, keepdim=True) > 0,
        (x * (x > 0)).sum(1, keepdim=True) / (x > 0).sum(1, keepdim=True),
        torch.zeros_like(x[:, :1]) - 1.0 * x[:, :1].sign(),
    ),
    "inverse with a margin": lambda x: torch.where(x.abs() > 0.3, 1 / (x + 1e-12), x),
    "sine over its argument": torch.sinc,
    "power of what overflows": lambda x: torch.where(x < 1, (x * 100).exp(), 2.0),
}


@pytest.mark.parametrize("name", UNDEFINED)
def test_a_side_that_is_not_chosen_may_be_undefined(name: str) -> None:
    rows, references = sample(9, FEATURES, 1), sample(5, FEATURES, 2)
    rows[0], references[0], rows[1] = 0, -rows[2].abs(), -1
    single = explained(UNDEFINED[name], rows, references)
    double = explained(UNDEFINED[name], rows.double(), references.double())
    assert torch.isfinite(single).all()
    network, weights = Of(UNDEFINED[name]), uneven_weights(5, torch.float64)
    difference = network(rows.double()) - weights @ network(references.double())
    np.testing.assert_allclose(double.sum(2), difference, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-5 * float(double.abs().max()))
    assert float(double.abs().max()) < 5 * float(difference.abs().max())


def test_a_step_between_neighbours_is_whole() -> None:
    row = torch.tensor([[0.1, 0.3]])
    reference = torch.nextafter(row, torch.zeros(1, 2))
    shares = explained(lambda x: 5.0 * (x >= 0.1) + 7 * (x[:, 1:] >= 0.3), row.repeat(2, 1), reference)
    np.testing.assert_allclose(shares[0, 0], [5.0, 14.0], rtol=1e-6)


def test_a_program_in_float64_compares_as_the_network_does_in_float32() -> None:
    """0.1 as float32 is more than 0.1 as float64."""
    rows, references = torch.full((2, 1), 0.1), torch.zeros(1, 1)
    for precision in (torch.float32, torch.float64):
        shares = explained(lambda x: (x > 0.1).float(), rows.to(precision), references.to(precision))
        np.testing.assert_array_equal(shares, 0)


def test_a_mask_of_the_row_in_attention_is_explained() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(2, 1, batch_first=True).eval()

    def masked(x: Tensor) -> Tensor:
        steps = x.reshape(-1, 4, 2)
        return attention(steps, steps, steps, key_padding_mask=steps[..., 0] > 1)[0].flatten(1)

    rows, references = sample(6, 8, 1), sample(4, 8, 2)
    program = build_program(nn.Sequential(_Lambda(masked)), rows)
    assert incompleteness(program, rows, references, uneven_weights(4)) < 1e-5


class _Lambda(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: Tensor) -> Tensor:
        return self.function(rows)


def test_a_comparison_with_infinity_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"aten\.eq\.Scalar with an infinite bound"):
        build_program(Of(lambda x: x * (x.log() == -torch.inf)), sample(3, 4, 1).abs())


def test_a_sum_of_truths_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"aten\.add\.Tensor of truths"):
        build_program(Of(lambda x: ((x > 0) + (x < 1)).float()), sample(3, 4, 1))
