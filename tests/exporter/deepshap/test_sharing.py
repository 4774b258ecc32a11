"""What divisions and choices share is what every feature alone reaches of their inputs, found in far fewer passes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from support.function_network import Network
from support.oracles import sample
from whyport.exporter.deepshap import build_program, sharing
from whyport.exporter.deepshap.program import Program, Value
from whyport.exporter.deepshap.rules.choice import Branch
from whyport.exporter.deepshap.rules.division import Division

FEATURES = 24
BODIES: dict[str, Callable[[Tensor], Tensor]] = {
    "a vector and its norm": lambda x: F.normalize(x, dim=1),
    "steps and their norms": lambda x: F.layer_norm(x.reshape(-1, 6, 4), (4,)).flatten(1),
    "two halves": lambda x: x[:, :12] / (1 + x[:, 12:] ** 2),
    "halves that meet in the middle": lambda x: x[:, :13] / (1 + x[:, 11:] ** 2),
    "neighbours": lambda x: x[:, 1:] / (2 + x[:, :-1].abs()),
    "odd and even": lambda x: x[:, ::2] / (1 + x[:, 1::2].flip(1) ** 2),
    "a choice by another": lambda x: torch.where(x[:, :12] > x[:, 12:], x[:, 6:18], -x[:, :12]),
    "a choice of a quotient": lambda x: torch.where(x[:, :8] > 0, x[:, 8:16] / x[:, :8], x[:, 16:]),
    "a choice of numbers": lambda x: torch.where(x > 0, 1.0, 2.0) * x,
}


def found(program: Program) -> list[Tensor]:
    """What each step has been told."""
    tensors: list[Tensor] = []
    for step in program.steps:
        if isinstance(step.rule, Division):
            tensors.append(step.rule.shared)
        elif isinstance(step.rule, Branch):
            tensors += [step.rule.get_buffer(f"shared_{i}") for i, active in enumerate(step.rule.active) if active]
    return tensors


def by_each_alone(program: Program) -> list[Tensor]:
    """The same by one pass for each feature."""
    rows = torch.linspace(0.5, 1.5, FEATURES, dtype=torch.float64).repeat(FEATURES, 1).fill_diagonal_(torch.nan)
    values: dict[Value, Any] = {Value(0, 0): rows.unsqueeze(1)}
    tensors: list[Tensor] = []
    for index, step in enumerate(program.steps, start=1):
        inputs = [values[value] for value in step.inputs]
        if isinstance(step.rule, (Branch, Division)):
            tensors += [each.any(0) for each in step.rule.common([each.isnan() for each in inputs])]
        values.update({Value(index, i): output for i, output in enumerate(step.rule.probe(inputs))})
    return tensors


@pytest.mark.parametrize("at_a_time", [1, 3, 64])
@pytest.mark.parametrize("name", BODIES)
def test_it_is_found_as_by_each_feature_alone(name: str, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "GROUPS_AT_A_TIME", at_a_time)
    program = build_program(Network(BODIES[name]), sample(5, FEATURES, 1))
    expected = by_each_alone(program.double())
    assert len(found(program)) == len(expected) > 0 or name == "a choice of numbers"
    for got, wanted in zip(found(program), expected, strict=True):
        assert torch.equal(got.expand_as(wanted), wanted)


def test_a_long_row_takes_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4 096 features in 64 steps, all share within 64 of them and the 64 groups."""
    tried: list[int] = []
    real = sharing._shared_by

    def counting(program: Program, told: Any, features: int, groups: list[Tensor]) -> Any:
        tried.append(len(groups))
        return real(program, told, features, groups)

    monkeypatch.setattr(sharing, "_shared_by", counting)
    steps = Network(lambda x: F.layer_norm(x.reshape(-1, 64, 64), (64,)).flatten(1))
    program = build_program(steps, sample(2, 64 * 64, 1))
    assert all(bool(each.all()) for each in found(program))
    assert sum(tried) == 128
