"""Every rule on its own small graph: it conserves, in both precisions, and breaking it breaks completeness."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support import operator_graphs
from support.oracles import attribute, incompleteness, sample, shapley_of_maximum, uneven_weights
from support.reference import exact_shapley
from whyport.exporter.deepshap import build_program
from whyport.exporter.deepshap.lowering import lower
from whyport.exporter.deepshap.rules import circular, powers, quotients
from whyport.exporter.deepshap.rules.elementwise import Inverse, Steep
from whyport.exporter.deepshap.rules.factors import factor_multipliers
from whyport.exporter.deepshap.rules.maximum import players, two_players
from whyport.exporter.deepshap.rules.order import order_multipliers
from whyport.exporter.deepshap.rules.registry import RULES
from whyport.exporter.deepshap.rules.rule import Rule
from whyport.exporter.deepshap.rules.shape import Split
from whyport.runtime.errors import UnsupportedOperatorError

ROWS = 1.5 * sample(6, operator_graphs.FEATURES, seed=1)
REFERENCES = 1.5 * sample(5, operator_graphs.FEATURES, seed=2)
WEIGHTS = uneven_weights(5)


@pytest.mark.parametrize("name", operator_graphs.NAMES)
def test_the_rules_conserve(name: str) -> None:
    program = lower(operator_graphs.graph(name))
    expected = operator_graphs.network(name)(ROWS)
    np.testing.assert_allclose(program.activations(ROWS)[0], expected, rtol=1e-5, atol=1e-5)
    rows = torch.cat([ROWS, REFERENCES[:1]])  # a row that is a reference
    assert incompleteness(program, rows, REFERENCES, WEIGHTS) < 1e-5
    precise = rows.double(), REFERENCES.double(), uneven_weights(5, torch.float64)
    assert incompleteness(program.double(), *precise) < 1e-12


@pytest.mark.parametrize("name", operator_graphs.NAMES)
def test_the_rules_in_float32_are_those_in_float64_feature_by_feature(name: str) -> None:
    """Errors that cancel in the sum would pass for conservation."""
    program = lower(operator_graphs.graph(name))
    got = attribute(program, ROWS, REFERENCES, WEIGHTS)
    expected = attribute(program.double(), ROWS.double(), REFERENCES.double(), uneven_weights(5, torch.float64))
    np.testing.assert_allclose(got / expected.abs().max(), expected / expected.abs().max(), rtol=0, atol=1e-5)


def _operators() -> list[Any]:
    return sorted(RULES, key=str)


def _case_of(operator: Any) -> str:
    for name in operator_graphs.NAMES:
        if operator in operator_graphs.active_operators(name):
            return name
    raise AssertionError(f"no network uses {operator}, whose rule is therefore untested")


@pytest.mark.parametrize("operator", _operators(), ids=str)
def test_breaking_a_rule_breaks_completeness(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name, build = _case_of(operator), RULES[operator]

    def broken(*arguments: Any, **options: Any) -> Rule:
        rule = build(*arguments, **options)
        propagate = rule.propagate
        monkeypatch.setattr(rule, "propagate", lambda *given: [1.01 * m for m in propagate(*given)])
        return rule

    monkeypatch.setitem(RULES, operator, broken)
    program = lower(operator_graphs.graph(name)).double()
    precise = ROWS.double(), REFERENCES.double(), uneven_weights(5, torch.float64)
    assert incompleteness(program, *precise) > 1e-4


def test_breaking_the_split_that_picks_are_merged_into_breaks_completeness(monkeypatch: pytest.MonkeyPatch) -> None:
    propagate = Split.propagate
    monkeypatch.setattr(Split, "propagate", lambda *given: [1.01 * m for m in propagate(*given)])
    program = lower(operator_graphs.graph("glu")).double()
    assert any(isinstance(step.rule, Split) for step in program.steps)
    assert incompleteness(program, ROWS.double(), REFERENCES.double(), uneven_weights(5, torch.float64)) > 1e-4


POINTS = torch.tensor(
    [-30.0, -8.0, -2.5, -1.0, -0.3, -1e-3, -1e-6, 0.0, 1e-6, 2e-6, 1e-3, 0.5, 0.7, 1.0, 4.0, 9.0, 30.0]
)
WITHIN_ONE = torch.tensor([-0.999, -0.9, -0.3, -1e-3, -1e-6, 0.0, 1e-6, 2e-6, 0.1, 0.5, 0.500001, 0.9, 0.99, 0.9901])
POSITIVE = torch.tensor([1e-3, 1.001e-3, 0.1, 0.5, 0.500001, 1.0, 3.0, 1e3])

QUOTIENTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Any], Any], Tensor]] = {
    "tanh": (quotients.tanh, np.tanh, POINTS),
    "sigmoid": (quotients.sigmoid, lambda x: 1 / (1 + np.exp(-x)), POINTS),
    "exponential": (quotients.exponential, np.exp, POINTS),
    "softplus": (quotients.softplus, lambda x: np.logaddexp(0, x), POINTS),
    "sine": (quotients.sine, np.sin, POINTS),
    "normal": (quotients.normal_distribution, np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2), POINTS),
    "cube": (lambda x, r: quotients.integer_power(x, r, 3), lambda x: x**3, POINTS),
    "logarithm": (quotients.logarithm, np.log, POSITIVE),
    "square root": (quotients.square_root, np.sqrt, POSITIVE),
    "inverse square root": (
        Inverse(Steep(torch.sqrt, quotients.square_root)).quotient,
        lambda x: x**-0.5,
        POSITIVE,
    ),
    **{
        f"power {p}": (partial(quotients.power, exponent=p), lambda x, p=p: x**p, POSITIVE)
        for p in (0.3, 0.5, 1.5, 2.2)
    },
    "reciprocal": (quotients.reciprocal, lambda x: 1 / x, POSITIVE),
    "arc tangent": (circular.arc_tangent, np.arctan, POINTS),
    "arc sine": (circular.arc_sine, np.arcsin, WITHIN_ONE),
    "inverse hyperbolic sine": (circular.inverse_hyperbolic_sine, np.arcsinh, POINTS),
    "inverse hyperbolic tangent": (circular.inverse_hyperbolic_tangent, np.arctanh, WITHIN_ONE),
    "inverse hyperbolic cosine": (circular.inverse_hyperbolic_cosine, np.arccosh, 1 + POSITIVE),
    "hyperbolic sine": (circular.hyperbolic_sine, np.sinh, POINTS),
    "hyperbolic cosine": (circular.hyperbolic_cosine, np.cosh, POINTS),
    "tangent": (circular.tangent, np.tan, WITHIN_ONE),
    "logit": (circular.logit, lambda x: np.log(x / (1 - x)), (1 + WITHIN_ONE) / 2),
    "two to the power": (powers.of_exponent(2.0), np.exp2, POINTS),
    "power of a tensor": (lambda x, r: powers.of_base(x, r, torch.tensor(-1.5)), lambda x: x**-1.5, POSITIVE),
    "relu": (quotients.relu, lambda x: np.maximum(x, 0), POINTS),
    "absolute": (quotients.absolute, np.abs, POINTS),
}


@pytest.mark.parametrize("name", QUOTIENTS)
def test_quotients_keep_their_digits_where_the_points_are_near(name: str) -> None:
    quotient, function, points = QUOTIENTS[name]
    x, r = torch.meshgrid(points, points, indexing="ij")
    a, b = x.to(torch.float64).numpy().astype(np.longdouble), r.to(torch.float64).numpy().astype(np.longdouble)
    apart = a != b
    expected = (function(a[apart].astype(np.float64)) - function(b[apart].astype(np.float64))) / (a - b)[apart]
    got = quotient(x, r)
    assert torch.isfinite(got).all()
    np.testing.assert_allclose(got[torch.from_numpy(apart)], expected, rtol=2e-6, atol=2e-7)
    # On the diagonal, the derivative.
    inner = points[(points != 0)].double()
    step = 1e-6 * inner.abs()
    slope = (function((inner + step).numpy()) - function((inner - step).numpy())) / (2 * step.numpy())
    np.testing.assert_allclose(quotient(inner.float(), inner.float()), slope, rtol=1e-4, atol=1e-4)


def test_the_product_rule_is_the_shapley_value_of_two_players() -> None:
    program = lower(operator_graphs.graph("product")).double()
    head = operator_graphs.network("product").head
    row, reference = ROWS[0].double().numpy(), REFERENCES[0].double().numpy()

    def model(rows: Any) -> Any:  # only a feature and its mirror image meet
        return (rows * rows[:, ::-1]) @ head.weight.double().numpy().T

    got = attribute(program, ROWS[:1].double(), REFERENCES[:1].double(), torch.ones(1, dtype=torch.float64))
    chosen = [0, 3, 8, 11]
    for start in (0, 1):
        pair = chosen[start], chosen[-1 - start]
        expected = exact_shapley(
            lambda rows, pair=pair: model(_embedded(rows, reference, pair)),
            row[list(pair)],
            reference[None, list(pair)],
            np.ones(1),
        )
        np.testing.assert_allclose(got[0][:, list(pair)].T, expected, rtol=1e-5)


def _embedded(rows: Any, reference: Any, positions: tuple[int, ...]) -> Any:
    full = np.tile(reference, (len(rows), 1))
    full[:, list(positions)] = rows
    return full


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("ties", [False, True])
def test_the_maximum_rule_is_the_shapley_value(size: int, ties: bool) -> None:
    generator = np.random.default_rng(size)
    for _ in range(20):
        x, r = generator.normal(size=(2, size))
        if ties:
            x, r = x.round(), r.round()
        got = players(torch.from_numpy(x), torch.from_numpy(r)).numpy()
        assert ((got >= 0) & (got <= 1 + 1e-12)).all()
        np.testing.assert_allclose(got * (x - r), shapley_of_maximum(x, r), atol=1e-12)
        order = generator.permutation(size)
        np.testing.assert_allclose(players(torch.from_numpy(x[order]), torch.from_numpy(r[order])), got[order])


@pytest.mark.parametrize("size", [1, 2, 3, 6])
@pytest.mark.parametrize("ties", [False, True])
def test_the_rule_of_order_is_the_shapley_value_at_every_rank(size: int, ties: bool) -> None:
    generator = np.random.default_rng(size)
    for _ in range(10):
        x, r = generator.normal(size=(2, size))
        if ties:
            x, r = x.round(), r.round()
        expected = exact_shapley(lambda rows: -np.sort(-rows, 1), x, r[None], np.ones(1))
        a, b = torch.from_numpy(x), torch.from_numpy(r)
        got = order_multipliers(a, b, range(size)).numpy()
        assert ((got >= 0) & (got <= 1 + 1e-12)).all()
        np.testing.assert_allclose(got * (x - r)[:, None], expected, atol=1e-12)
        largest = players(a, b)[a != b]
        np.testing.assert_allclose(order_multipliers(a, b, [0])[a != b, 0], largest, atol=1e-12)


def test_values_that_tie_share_the_derivative_of_order() -> None:
    x = torch.tensor([2.0, 1.0, 2.0])
    expected = torch.tensor([[0.5, 0.5, 0], [0, 0, 1], [0.5, 0.5, 0]])
    torch.testing.assert_close(order_multipliers(x, x, range(3)), expected)


def test_no_more_values_are_ordered_than_the_table_has() -> None:
    class Wide(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return torch.cat([rows] * 33, 1).topk(2).values

    with pytest.raises(UnsupportedOperatorError, match=r"aten\.topk\.default of 132 values: at most 128 are ordered"):
        build_program(Wide(), sample(3, 4, 1))


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_rule_of_many_factors_is_the_shapley_value(size: int) -> None:
    x, r = np.random.default_rng(size).normal(size=(2, size))
    x[0] = 0  # a division by a factor would fail
    expected = exact_shapley(lambda rows: rows.prod(axis=1, keepdims=True), x, r[None], np.ones(1))[:, 0]
    got = factor_multipliers(torch.from_numpy(x), torch.from_numpy(r)).numpy()
    np.testing.assert_allclose(got * (x - r), expected, atol=1e-12)


def test_the_rule_of_many_factors_conserves_for_hundreds() -> None:
    x, r = 1 + 0.1 * torch.from_numpy(np.random.default_rng(1).normal(size=(2, 300)))
    share = factor_multipliers(x, r) * (x - r)
    torch.testing.assert_close(share.sum(), x.prod() - r.prod(), rtol=1e-10, atol=1e-12)


def test_two_players_are_the_case_of_two() -> None:
    x, r = sample(50, 2, 3), sample(50, 2, 4)
    np.testing.assert_allclose(two_players(x, r, x.flip(-1), r.flip(-1)), players(x, r), atol=1e-5)


def test_a_shift_common_to_all_logits_has_no_share_in_softmax() -> None:
    class Shifted(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return torch.softmax(rows[:, :3] + rows[:, 3:], 1)

    program = build_program(Shifted(), sample(5, 4, 1))
    values = attribute(program, 5 * sample(9, 4, 2), sample(7, 4, 3), uneven_weights(7))
    np.testing.assert_allclose(values[..., 3], 0, atol=1e-6)
    assert (values[..., :3].abs().amax((0, 1)) > 0.01).all()


class Block(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows.mode(1, keepdim=True).values


class Refused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, rows: Tensor) -> Tensor:
        return self.block(rows)


def test_an_operator_without_a_rule_is_named_with_its_place_and_no_path() -> None:
    with pytest.raises(UnsupportedOperatorError) as caught:
        build_program(Refused(), sample(3, 4, 1))
    assert str(caught.value) == (
        "no DeepSHAP rule for the operator aten.mode.default, in 'block' (Block), "
        "line 'return rows.mode(1, keepdim=True).values'"
    )


def test_an_operator_off_the_path_to_the_logits_needs_no_rule() -> None:
    class Pruned(nn.Module):
        def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * rows, rows.mode(1).values

    program = build_program(Pruned(), sample(3, 4, 1))
    assert len(program.steps) == 1
