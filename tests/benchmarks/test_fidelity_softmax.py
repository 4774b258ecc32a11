"""The composed rule for softmax against the rules of the operators that it is composed of."""

import numpy as np
import torch
from torch import Tensor, nn

from fidelity_softmax import composed_softmax
from whyport.exporter.deepshap import build_program, lowering


class Direct(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.softmax(rows.reshape(-1, 2, 3), -1).flatten(1)


class Written(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        logits = rows.reshape(-1, 2, 3)
        exponentials = torch.exp(logits - logits.amax(-1, keepdim=True))
        return (exponentials * exponentials.sum(-1, keepdim=True).reciprocal()).flatten(1)


def explain(network: nn.Module) -> Tensor:
    """Attributions [N, C, F] of 5 rows against 4 references."""
    rows = 3 * torch.randn(9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    program = build_program(network, rows)
    of_rows, of_references = program.activations(rows[:5]), program.activations(rows[5:])
    return program.attribute(of_rows, of_references, torch.full((4,), 0.25, dtype=torch.float64))


def test_the_composed_rule_is_the_rules_of_its_operators(monkeypatch):
    with composed_softmax():
        got = explain(Direct())
    # Operator by operator: a product with an inverse is no division yet.
    monkeypatch.setattr(lowering, "write_divisions", lambda steps, logits: (list(steps), logits))
    np.testing.assert_allclose(got, explain(Written()), atol=1e-12)


def test_it_ends_with_its_context():
    before = explain(Direct())
    with composed_softmax():
        inside = explain(Direct())
    assert (inside - before).abs().max() > 0.01
    np.testing.assert_array_equal(explain(Direct()), before)
