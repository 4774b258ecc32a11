"""Operators whose rules compute with more than sums and products, in the files that a bundle has."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.oracles import attribute, sample, uneven_weights
from whyport.exporter.deepshap import build_program
from whyport.exporter.deepshap.compile import trace_program
from whyport.exporter.deepshap.program import Program
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.graphs.onnx import export_lean, open_onnx
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.reasons.graphs import ExplainGraph
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Classification

FEATURES = 8
ROWS, REFERENCES = sample(7, FEATURES, 1), sample(5, FEATURES, 2)
WEIGHTS = uneven_weights(5)
OUTPUTS = ["logits", "probabilities", "explained", "score", "base_value", "attribution", "error"]


class Operators(nn.Module):
    """Order, products of many, assignments, sums at positions, masks, resizing, cumulative sums."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(30, 2)

    def forward(self, rows: Tensor) -> Tensor:
        steps = rows.reshape(-1, 4, 2)
        written = rows.clone()
        written[:, 2:4] = rows[:, :2] * 2
        groups = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]).expand(rows.shape[0], -1)
        parts = [
            rows.topk(3, 1).values,
            steps.prod(1),
            written[:, torch.tensor([True, False, True, True] * 2)],
            rows.new_zeros(rows.shape[0], 3).scatter_add(1, groups, rows),
            F.interpolate(steps, scale_factor=1.5, mode="linear"),
            steps.cumsum(1)[:, -1:],
            steps.sort(1).values[:, 1:3, :1],
        ]
        return self.head(torch.cat([part.flatten(1) for part in parts], 1))


@pytest.fixture(scope="module")
def program() -> Program:
    return build_program(Operators().eval().requires_grad_(False), ROWS)


@pytest.fixture(scope="module")
def expected(program: Program) -> np.ndarray:
    """Attributions in float64."""
    module = build_program(Operators().eval().requires_grad_(False), ROWS).double()
    return attribute(module, ROWS.double(), REFERENCES.double(), uneven_weights(5, torch.float64)).numpy()


def test_deepshap_pt_has_the_attributions(program: Program, expected: np.ndarray) -> None:
    loaded = load_torchscript(trace_program(program, ROWS))
    for count in (1, 7):
        got = attribute(loaded, ROWS[:count], REFERENCES, WEIGHTS)
        np.testing.assert_allclose(got, expected[:count], atol=1e-5)


def test_explain_onnx_has_the_attributions(program: Program, expected: np.ndarray) -> None:
    references = References(REFERENCES.numpy(), WEIGHTS.double().numpy())
    graph = ExplainGraph(program, None, Classification(("a", "b")), LogitsHead(), references)
    inputs = {INPUT: ROWS[:5], "class_index": torch.arange(5) % 3 - 1}
    session = open_onnx(export_lean(graph.eval(), inputs, OUTPUTS, 18).SerializeToString())
    for count in (1, 7):
        classes = np.arange(count) % 2
        given = {INPUT: ROWS[:count].numpy(), "class_index": classes}
        (got,) = session.run(["attribution"], given)
        np.testing.assert_allclose(got, expected[np.arange(count), classes], atol=1e-5)
