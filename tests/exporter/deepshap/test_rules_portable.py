"""The portable form of every rule is the rule, and its limit where row and reference meet is the derivative."""

import numpy as np
import pytest
import torch
from torch import nn

from support import operator_graphs
from support.oracles import sample, uneven_weights
from whyport.exporter.deepshap import build_program
from whyport.exporter.deepshap.lowering import lower
from whyport.exporter.deepshap.rules.lstm import LSTM
from whyport.exporter.deepshap.rules.rule import Pair, Rule
from whyport.exporter.deepshap.rules.softmax import Softmax
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.reasons.graphs import ExplainGraph, GradientGraph
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Classification

ROWS = 1.5 * sample(6, operator_graphs.FEATURES, seed=1, dtype=torch.float64)
REFERENCES = 1.5 * sample(5, operator_graphs.FEATURES, seed=2, dtype=torch.float64)
WEIGHTS = uneven_weights(5, torch.float64)


@pytest.mark.parametrize("name", operator_graphs.NAMES)
def test_the_portable_form_is_the_rule(name: str) -> None:
    program = lower(operator_graphs.graph(name)).double()
    of_rows, of_references = (program.activations(rows, portable=True) for rows in (ROWS, REFERENCES))
    same = len(of_rows) if program.kept == program.kept_portable else 2  # the logits and the cells at least
    for got, expected in zip(of_rows[:same], program.activations(ROWS)[:same], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    classes = torch.arange(6) % 2
    of_logits = torch.eye(2, dtype=torch.float64)[classes][None, :, None, None, :]

    def pair(i: int) -> Pair:
        return Pair(of_rows[i].unsqueeze(1), of_references[i].unsqueeze(0))

    change = (ROWS[:, None] - REFERENCES) * WEIGHTS[:, None]
    got = (program.multipliers(of_logits, pair, portable=True)[0] * change).sum(1)
    expected = program.attribute(program.activations(ROWS), program.activations(REFERENCES), WEIGHTS)
    np.testing.assert_allclose(got, expected[torch.arange(6), classes], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", operator_graphs.NAMES)
def test_where_row_and_reference_meet_the_multiplier_is_the_derivative(name: str) -> None:
    network = operator_graphs.network(name)
    rows = ROWS.float()
    graph = GradientGraph(lower(operator_graphs.graph(name)), None, Classification(("no", "yes")), LogitsHead())
    classes = torch.arange(6) % 2
    with torch.no_grad():
        logits, _, explained, score, gradient = graph(rows, classes)
    leaf = rows.clone().requires_grad_()
    expected = network(leaf)
    torch.testing.assert_close(logits, expected.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(score, expected.detach()[torch.arange(6), classes], rtol=1e-4, atol=1e-5)
    assert (explained == classes).all()
    chosen = expected[torch.arange(6), classes].sum()
    (derivative,) = torch.autograd.grad(chosen, leaf, allow_unused=True, materialize_grads=True)  # a step has none
    scale = float(derivative.abs().max()) or 1.0
    np.testing.assert_allclose(gradient / scale, derivative / scale, rtol=0, atol=1e-5)


def test_the_predicted_class_is_explained_below_0_and_missing_values_are_imputed() -> None:
    network = nn.Linear(3, 4)
    program = build_program(network, sample(5, 3, 1))
    references = References(sample(4, 3, 2).numpy(), np.array([0.1, 0.2, 0.3, 0.4]))
    rows = sample(9, 3, 3)
    filled = rows.clone()
    filled[::2, 1], rows[::2, 1] = 7.0, torch.nan
    index = torch.tensor([-1, 0, 1, 2, 3, -1, -5, 0, -1])
    graph = ExplainGraph(program, (5.0, 7.0, 9.0), Classification("abcd"), LogitsHead(), references)
    with torch.no_grad():
        logits, probabilities, explained, score, base_value, attribution, error = graph(rows, index)
        expected = network(filled)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(probabilities, expected.softmax(1))
    assert (explained == torch.where(index < 0, expected.argmax(1), index)).all()
    centre = torch.from_numpy(references.weights @ references.rows).float()
    torch.testing.assert_close(
        attribution, network.weight[explained].detach() * (filled - centre), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(base_value, network(centre).detach()[explained])
    torch.testing.assert_close(score, expected[torch.arange(9), explained])
    assert float(error.max()) < 1e-4


def test_the_lstm_and_the_softmax_have_a_portable_body_of_their_own() -> None:
    """Otherwise the comparisons above would compare a body with itself."""
    for rule in (LSTM, Softmax):
        assert rule.propagate_portable is not Rule.propagate_portable
    assert LSTM.activate_portable is not Rule.activate_portable
