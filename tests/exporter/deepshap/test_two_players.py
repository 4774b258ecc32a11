"""Functions of two activations: exact Shapley values of two players, with every digit where their states are near."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from support.reference import exact_shapley
from whyport.exporter.deepshap.rules.registry import RULES, Active, Call
from whyport.exporter.deepshap.rules.rule import Pair

aten = torch.ops.aten
STATES = [-3.0, -1.0, -1e-3, 0.0, 1e-6, 1.000001e-6, 0.4, 0.400001, 1.0, 2.5]
POSITIVE = [1e-3, 0.4, 0.400001, 1.0, 2.5]

FUNCTIONS: dict[str, tuple[object, Callable[[Tensor, Tensor], Tensor], list[float]]] = {
    "power": (aten.pow.Tensor_Tensor, torch.pow, POSITIVE),
    "angle": (aten.atan2.default, torch.atan2, STATES),
    "more": (aten.gt.Tensor, lambda a, b: (a > b).to(a.dtype), STATES),
    "no more": (aten.le.Tensor, lambda a, b: (a <= b).to(a.dtype), STATES),
    "equal": (aten.eq.Tensor, lambda a, b: (a == b).to(a.dtype), STATES),
}


def shares(operator: object, a: Pair, b: Pair) -> tuple[Tensor, Tensor]:
    """What each player gets, from states [N, 1] and [1, R]."""
    given = Active((), torch.float32)
    rule = RULES[operator](Call(operator, (), torch.float32, "here"), given, given)
    first, second = rule.propagate([torch.ones(1, 1, 1, dtype=a.row.dtype)], [a, b], [])
    return first[0] * a.difference(), second[0] * b.difference()


def pairs(states: list[float], kind: torch.dtype) -> tuple[Pair, Pair]:
    """Every pair of states of both players, rounded to float32."""
    both = torch.cartesian_prod(torch.tensor(states), torch.tensor(states)).to(kind)
    a, b = both[:, 0], both[:, 1]
    return Pair(a[:, None], a[None, :]), Pair(b[:, None], b[None, :])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_player_has_its_shapley_value(name: str) -> None:
    operator, function, states = FUNCTIONS[name]
    a, b = pairs(states[::2], torch.float64)
    got = shares(operator, a, b)

    def model(rows: np.ndarray) -> np.ndarray:
        both = torch.from_numpy(rows)
        return function(both[:, 0], both[:, 1])[:, None].numpy()

    points = torch.cat([a.row, b.row], 1).numpy()
    for i, row in enumerate(points):
        for j, reference in enumerate(points):
            expected = exact_shapley(model, row, reference[None], np.ones(1))[:, 0]
            np.testing.assert_allclose([got[0][i, j], got[1][i, j]], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_has_the_digits_of_float64(name: str) -> None:
    operator, _, states = FUNCTIONS[name]
    if name == "angle":  # elsewhere a player's two orders cancel
        states = [state for state in states if state > 0]
    single, double = (shares(operator, *pairs(states, kind)) for kind in (torch.float32, torch.float64))
    for got, expected in zip(single, double, strict=True):
        assert torch.isfinite(got).all()
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-9)


def test_the_angle_jumps_across_the_negative_half_axis() -> None:
    left = Pair(torch.tensor([[-1.0]]), torch.tensor([[-1.0]]))
    across = Pair(torch.tensor([[1e-6]]), torch.tensor([[-1e-6]]))
    of_height, of_width = shares(aten.atan2.default, across, left)
    np.testing.assert_allclose(of_height, 2 * np.pi, rtol=1e-5)
    assert float(of_width) == 0
