"""Attributions in passes are those of one pass, and a check of long rows takes few of them."""

import pytest
import torch
from torch import nn

from whyport.exporter.deepshap import build_program, compile_deepshap
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.reasons.passes import attributions, checked_rows


def network(features: int, classes: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 6), nn.ReLU(), nn.Linear(6, classes)).eval()


@pytest.mark.parametrize("pass_bytes", [1, 600, 2000])
def test_many_passes_give_what_one_does(pass_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(12, 8, dtype=torch.float64)
    program = build_program(network(8, 3).double(), rows)
    of_rows, of_references = program.activations(rows[:5]), program.activations(rows[5:])
    weights = torch.linspace(0.05, 0.2, 7, dtype=torch.float64)
    expected = program.attribute(of_rows, of_references, weights)

    monkeypatch.setattr("whyport.runtime.bundle.deepshap.PASS_BYTES", pass_bytes)

    got = attributions(program, of_rows, of_references, weights)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("features", "rows"), [(8, 40), (1 << 20, 8), (1 << 23, 2)])
def test_the_rows_of_a_check_are_fewer_where_they_are_long(features: int, rows: int) -> None:
    assert checked_rows([torch.zeros(2, 1), torch.zeros(2, 1, features)]) == rows


def test_a_program_traced_with_a_few_classes_explains_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whyport.exporter.deepshap.compile.LONG", 8)
    rows = torch.randn(12, 8)
    module = network(8, 7)

    made = load_torchscript(compile_deepshap(module, rows))

    of_rows, of_references = made.activations(rows[:5]), made.activations(rows[5:])
    shares = made.attribute(of_rows, of_references, torch.full((7,), 1 / 7))
    assert shares.shape == (5, 7, 8)
    with torch.no_grad():
        difference = module(rows[:5]) - module(rows[5:]).mean(0)
    torch.testing.assert_close(shares.sum(2), difference, rtol=0, atol=1e-5)
