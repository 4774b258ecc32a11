"""The operators that people write, in one network, through explain.onnx."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from support.oracles import attribute, sample, uneven_weights
from whyport.exporter.deepshap import build_program
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.graphs.onnx import export_lean
from whyport.exporter.reasons.graphs import ExplainGraph
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Classification

NAMES = ["logits", "probabilities", "explained", "score", "base_value", "attribution", "error"]


class Written(nn.Module):
    """Six features through steps, choices, logic, an embedding, functions of two values, and inverse functions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(7, 3)
        self.head = nn.Linear(30, 2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, :3], x[:, 3:]
        parts = [
            torch.where(a > 0, a.log1p(), 0.2 * a),
            ((a > 0) & (b < 0.5)) | (b > 1),
            self.embedding((3 + 3 * x[:, 0].tanh()).long()),
            torch.atan2(a, b),
            (a.abs() + 0.5) ** b.tanh(),
            torch.asinh(a) * torch.sign(b),
            torch.remainder(b, 0.7) - a.floor(),
            a.masked_fill(b > 2, -torch.inf).softmax(1) * (b > 0),
            torch.bucketize(x, torch.tensor([-0.5, 0.5])),
        ]
        return self.head(torch.cat([part.flatten(1).to(x.dtype) for part in parts], 1))


@pytest.mark.heavy
def test_they_are_explained_as_in_float64() -> None:
    network = Written().eval().requires_grad_(False)
    rows, index = sample(9, 6, 1), torch.arange(9) % 2
    references = References(sample(4, 6, 2).numpy(), uneven_weights(4, torch.float64).numpy())
    graph = ExplainGraph(
        build_program(network, sample(5, 6, 3)), None, Classification(("no", "yes")), LogitsHead(), references
    )
    model = export_lean(graph.eval(), {"features": rows, "class_index": index}, NAMES, 18)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = dict(zip(NAMES, session.run(None, {"features": rows.numpy(), "class_index": index.numpy()}), strict=True))
    program = build_program(network, rows).double()
    weights = torch.from_numpy(references.weights)
    expected = attribute(program, rows.double(), torch.from_numpy(references.rows).double(), weights)
    np.testing.assert_allclose(got["logits"], network(rows), atol=1e-5)
    np.testing.assert_allclose(got["attribution"], expected[torch.arange(9), index], atol=2e-5)
    assert float(got["error"].max()) < 1e-5
