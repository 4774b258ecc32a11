"""The compiled explanation is checked on other rows than the traced ones, or listed as unavailable with the reason."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from whyport.exporter.deepshap import compile_deepshap
from whyport.exporter.graphs.graph import Graph, build_graph
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.reasons.program import check_completeness, compile_program
from whyport.runtime.errors import ParityError

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


class Gated(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.layer = nn.Linear(4, 3)
        nn.init.constant_(self.layer.weight, 0.3)
        nn.init.constant_(self.layer.bias, -0.2)

    def forward(self, rows: Tensor) -> Tensor:
        lifted = self.layer(rows)
        return self.scale * lifted * torch.sigmoid(lifted)


class Commonest(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, 2, 2).mode(1).values


def graph_of(network: nn.Module) -> Graph:
    return build_graph(network, nn.Identity(), torch.from_numpy(ROWS[:5]))


def test_a_network_with_rules_for_all_its_operators_is_compiled() -> None:
    program, capability = compile_program(graph_of(Gated()), ROWS[:5], ROWS[5:])
    assert program is not None
    assert (capability.available, capability.reason) == (True, "")


def test_an_operator_without_a_rule_is_named_and_the_bundle_goes_without() -> None:
    program, capability = compile_program(graph_of(Commonest()), ROWS[:5], ROWS[5:])
    assert program is None
    assert not capability.available
    assert "no DeepSHAP rule for the operator aten.mode" in capability.reason


def test_a_program_of_another_network_is_a_breach() -> None:
    program = compile_deepshap(Gated(1.01).eval(), torch.from_numpy(ROWS[:5]))
    with pytest.raises(ParityError, match="logits of the compiled DeepSHAP: expected within 0.0001"):
        check_completeness(load_torchscript(program).double(), graph_of(Gated()), ROWS[5:])


def test_attributions_that_do_not_add_up_are_a_breach(monkeypatch: pytest.MonkeyPatch) -> None:
    from whyport.exporter.deepshap.rules.rule import Rule

    def broken(rule: type[Rule]) -> None:
        propagate = rule.propagate
        monkeypatch.setattr(rule, "propagate", lambda self, *a: [m * 1.01 for m in propagate(self, *a)])

    for rule in Rule.__subclasses__():
        broken(rule)
    program = compile_deepshap(Gated().eval(), torch.from_numpy(ROWS[:5]))
    with pytest.raises(ParityError, match="sums of attributions of the compiled DeepSHAP"):
        check_completeness(load_torchscript(program).double(), graph_of(Gated()), ROWS[5:])
