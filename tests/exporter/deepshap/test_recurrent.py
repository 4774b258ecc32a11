"""Whole recurrent layers: the sum of their unrolled operators, in eager mode, in TorchScript and in portable form."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from support.oracles import sample, uneven_weights
from support.recurrent_networks import INPUTS, KINDS, recurrent_network
from whyport.exporter.deepshap import build_program, trace_program
from whyport.exporter.deepshap.program import Program
from whyport.exporter.deepshap.rules.gru import GRU
from whyport.exporter.deepshap.rules.rule import Pair
from whyport.exporter.graphs.torchscript import load_torchscript

STEPS = 3
ROWS = 1.5 * sample(7, STEPS * INPUTS, seed=1, dtype=torch.float64)

Attribute = Callable[[Program, Tensor, Tensor, Tensor], Tensor]


def eager(program: Program, rows: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    return program.attribute(program.activations(rows), program.activations(references), weights)


def portable(program: Program, rows: Tensor, references: Tensor, weights: Tensor) -> Tensor:
    of_rows, of_references = (program.activations(values, portable=True) for values in (rows, references))

    def pair(position: int) -> Pair:
        return Pair(of_rows[position].unsqueeze(1), of_references[position].unsqueeze(0))

    multipliers = program.multipliers(program.identity, pair, portable=True)
    return (multipliers * pair(1).difference() * weights[:, None]).sum(2).transpose(0, 1)


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_layer_is_the_sum_of_its_operators(name: str) -> None:
    network = recurrent_network(name).double()
    whole, unrolled = (build_program(network, ROWS, fused=fused) for fused in (True, False))
    assert len(whole.steps) < len(unrolled.steps) / 2
    scripted = load_torchscript(trace_program(whole, ROWS))
    # As many references as steps, too: neither axis is taken for the other.
    for count in (1, 2, STEPS):
        references, weights = 1.5 * sample(count, ROWS.shape[1], 2, torch.float64), uneven_weights(count, torch.float64)
        for rows in (ROWS[:1], ROWS[:2], ROWS):
            expected = eager(unrolled, rows, references, weights)
            torch.testing.assert_close(expected.sum(2), network(rows) - weights @ network(references))
            got = (
                eager(whole, rows, references, weights),
                portable(whole, rows, references, weights),
                eager(scripted, rows, references, weights),
            )
            for attributions in got:
                torch.testing.assert_close(attributions, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_its_size_does_not_depend_on_the_number_of_steps(name: str) -> None:
    few, many = (sample(5, steps * INPUTS, 1) for steps in (5, 60))
    sizes = [len(trace_program(build_program(recurrent_network(name), rows), rows)) for rows in (few, many)]
    # Of 60 steps there are other numbers, and the length of a step's name.
    assert sizes[1] < sizes[0] + 2048


def test_a_wrong_sign_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    right = GRU.propagate_portable
    monkeypatch.setattr(GRU, "propagate_portable", lambda *given: [-m for m in right(*given)])
    program = build_program(recurrent_network("gru").double(), ROWS)
    weights = uneven_weights(3, torch.float64)
    expected, got = (attribute(program, ROWS, ROWS[:3], weights) for attribute in (eager, portable))
    assert (got.sum(2) - expected.sum(2)).abs().max() > 0.01
