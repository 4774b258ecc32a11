"""A column that is looked up in a table, beside numbers: the commonest tabular network."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.oracles import attribute, sample, uneven_weights
from support.reference import exact_shapley
from whyport.exporter.deepshap import build_program
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.graphs.onnx import export_lean
from whyport.exporter.reasons.graphs import ExplainGraph, GradientGraph
from whyport.exporter.reasons.jumps import jumping_features
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Classification

CATEGORIES, NUMBERS = 5, 3


class Tabular(nn.Module):
    """One column of codes, embedded beside three numbers; additive, so that Shapley values have a closed form."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(CATEGORIES, 2)
        self.head = nn.Linear(2 + NUMBERS, 2)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(torch.cat([self.embedding(rows[:, 0].long()), rows[:, 1:]], 1))


class Deep(Tabular):
    """The same with a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(2 + NUMBERS, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, rows: Tensor) -> Tensor:
        return self.hidden(torch.cat([self.embedding(rows[:, 0].long()), rows[:, 1:]], 1))


def rows_of(count: int, seed: int, kind: torch.dtype = torch.float32) -> Tensor:
    """Rows [N, 4], whose first column is a code."""
    rows = sample(count, 1 + NUMBERS, seed)
    rows[:, 0] = torch.randint(CATEGORIES, (count,), generator=torch.Generator().manual_seed(seed))
    return rows.to(kind)


def test_an_embedded_column_has_the_shapley_value_of_its_jump() -> None:
    network = Tabular().eval().requires_grad_(False)
    rows, references = rows_of(8, 1, torch.float64), rows_of(5, 2, torch.float64)
    weights = uneven_weights(5, torch.float64)
    got = attribute(build_program(network, rows.float()).double(), rows, references, weights)
    network.double()
    for row, shares in zip(rows.numpy(), got, strict=True):
        exact = exact_shapley(lambda x: network(torch.from_numpy(x)).numpy(), row, references.numpy(), weights.numpy())
        np.testing.assert_allclose(shares, exact.T, atol=1e-12)


def test_a_code_that_is_the_references_has_no_share_whatever_its_number() -> None:
    network = Deep().eval()
    rows, references = rows_of(6, 1), rows_of(4, 2)
    rows[:, 0] = references[:, 0] = 3
    values = attribute(build_program(network, rows_of(5, 3)), rows, references, uneven_weights(4))
    np.testing.assert_array_equal(values[..., 0], 0)


@pytest.fixture(scope="module")
def graphs() -> tuple[nn.Module, ExplainGraph, GradientGraph, References]:
    network = Deep().eval().requires_grad_(False)
    references = References(rows_of(4, 2).numpy(), uneven_weights(4, torch.float64).numpy())
    task, head = Classification(("no", "yes")), LogitsHead()
    explain = ExplainGraph(build_program(network, rows_of(5, 3)), None, task, head, references)
    gradient = GradientGraph(build_program(network, rows_of(5, 3)), None, task, head)
    return network, explain.eval(), gradient.eval(), references


def test_explain_onnx_explains_it(graphs: tuple[nn.Module, ExplainGraph, GradientGraph, References]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network, explain, _, references = graphs
    rows, index = rows_of(9, 4), torch.arange(9) % 2
    names = ["logits", "probabilities", "explained", "score", "base_value", "attribution", "error"]
    model = export_lean(explain, {"features": rows, "class_index": index}, names, 18)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = dict(zip(names, session.run(None, {"features": rows.numpy(), "class_index": index.numpy()}), strict=True))
    program = build_program(network, rows).double()
    weights = torch.from_numpy(references.weights)
    expected = attribute(program, rows.double(), torch.from_numpy(references.rows).double(), weights)
    np.testing.assert_allclose(got["attribution"], expected[torch.arange(9), index], atol=1e-5)
    assert float(got["error"].max()) < 1e-5


def test_its_gradient_is_0_as_the_networks(
    graphs: tuple[nn.Module, ExplainGraph, GradientGraph, References],
) -> None:
    network, _, gradient, _ = graphs
    rows, index = rows_of(9, 4), torch.arange(9) % 2
    leaf = rows.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(leaf)[torch.arange(9), index].sum(), leaf)
    got = gradient(rows, index)[-1]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_array_equal(got[:, 0], 0)


def test_the_columns_without_a_gradient_are_known() -> None:
    rows = rows_of(16, 5)
    assert jumping_features(build_program(Deep().eval(), rows), rows.numpy()) == [0]
    smooth = nn.Sequential(nn.Linear(1 + NUMBERS, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    assert jumping_features(build_program(smooth, rows), rows.numpy()) == []
