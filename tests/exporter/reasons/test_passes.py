"""Attributions in passes are those of one pass, and a check of long rows takes few of them."""

import pytest
import torch
from torch import nn

from whyport.exporter.deepshap import build_program, compile_deepshap
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.reasons.passes import attributions, checked_sample


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


def test_some_classes_are_those_of_all() -> None:
    rows = torch.randn(12, 8, dtype=torch.float64)
    for program in (
        build_program(network(8, 5).double(), rows),
        load_torchscript(compile_deepshap(network(8, 5), rows.float())).double(),
    ):
        of_rows, of_references = program.activations(rows[:5]), program.activations(rows[5:])
        weights = torch.full((7,), 1 / 7, dtype=torch.float64)
        every = attributions(program, of_rows, of_references, weights)
        some = attributions(program, of_rows, of_references, weights, [0, 3])
        torch.testing.assert_close(some, every[:, [0, 3]], rtol=0, atol=1e-14)
        torch.testing.assert_close(attributions(program, of_rows, of_references, weights), every, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("features", "classes", "expected"),
    [
        (8, 3, (40, [0, 1, 2])),
        (1 << 20, 1, (8, [0])),
        (1 << 23, 1, (2, [0])),
        (1 << 22, 1000, (2, [0, 333, 666, 999])),
        (1 << 26, 1000, (2, [0])),
    ],
)
def test_a_check_of_long_rows_has_fewer_of_them_and_fewer_classes(
    features: int, classes: int, expected: tuple[int, list[int]]
) -> None:
    assert checked_sample([torch.empty(2, classes), torch.empty(2, 1, features)]) == expected


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
