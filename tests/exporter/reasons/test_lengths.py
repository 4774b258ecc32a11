"""explain.onnx and gradient.onnx of sequences of varying length: the references have the length of a call's rows."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from support.masked_networks import KINDS, LENGTH, STEPS, WIDTH, Causal, LastOfGRU, TakeSteps, rows_of
from support.oracles import uneven_weights
from whyport.exporter.deepshap import build_program
from whyport.exporter.deepshap.program import Program
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.graphs.onnx import export_lean, open_onnx
from whyport.exporter.reasons.graphs import ExplainGraph, GradientGraph
from whyport.runtime.bundle.lengths import of_length
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Classification

TASK = Classification(("no", "yes"))
REFERENCES = rows_of(3, STEPS, 7)
WEIGHTS = uneven_weights(3, torch.float64)
FIRST = ["logits", "probabilities", "explained_class", "score"]
EXPLAIN, GRADIENT = [*FIRST, "base_value", "attribution", "completeness_error"], [*FIRST, "gradient"]
TRACED = rows_of(5, 4, 1)


FEW = (LastOfGRU, Causal)
SOME = [
    pytest.param(FEW, id="some"),
    pytest.param([kind for kind in KINDS if kind not in FEW], id="others", marks=pytest.mark.heavy),
]


class Together(nn.Module):
    """The sum of several networks."""

    def __init__(self, kinds: Sequence[type[nn.Module]]) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.parts = nn.ModuleList(kind() for kind in kinds)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return torch.stack([part(x, mask) for part in self.parts]).sum(0)


@pytest.fixture(scope="module", params=SOME)
def network(request: pytest.FixtureRequest) -> nn.Module:
    return TakeSteps(Together(request.param).eval().requires_grad_(False))


@pytest.fixture(scope="module")
def program(network: nn.Module) -> Program:
    return build_program(network, TRACED, lengths=[LENGTH.place])


@pytest.fixture(scope="module")
def explain(program: Program) -> onnxruntime.InferenceSession:
    references = References(REFERENCES.numpy(), WEIGHTS.numpy())
    return _opened(ExplainGraph(program, None, TASK, LogitsHead(), references, [LENGTH]), EXPLAIN)


@pytest.fixture(scope="module")
def gradient(program: Program) -> onnxruntime.InferenceSession:
    return _opened(GradientGraph(program, None, TASK, LogitsHead()), GRADIENT)


def _opened(graph: nn.Module, outputs: list[str]) -> onnxruntime.InferenceSession:
    inputs = {"features": TRACED, "class_index": torch.arange(len(TRACED)) % 3 - 1}
    return open_onnx(export_lean(graph.eval(), inputs, outputs, 18).SerializeToString())


def _run(session: onnxruntime.InferenceSession, rows: Tensor) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    given = {"features": rows.numpy(), "class_index": np.arange(len(rows)) % 2}
    return dict(zip(names, session.run(names, given), strict=True))


@pytest.mark.parametrize("length", [1, 3, STEPS])
def test_rows_are_explained_against_references_of_their_length(
    explain: onnxruntime.InferenceSession, program: Program, network: nn.Module, length: int
) -> None:
    rows = rows_of(4, length, 2)
    got = _run(explain, rows)
    references = torch.from_numpy(of_length([LENGTH], REFERENCES.numpy(), [length]))
    with torch.no_grad():
        of_rows, of_references = (program.double().activations(some.double()) for some in (rows, references))
        expected = program.attribute(of_rows, of_references, WEIGHTS)[torch.arange(4), torch.arange(4) % 2]
        program.float()
        base_values = WEIGHTS @ network(references).double()
    np.testing.assert_allclose(got["attribution"], expected, rtol=0, atol=1e-5)
    assert not got["attribution"][:, length * WIDTH :].any()
    np.testing.assert_allclose(got["logits"], network(rows), rtol=0, atol=1e-5)
    np.testing.assert_allclose(got["base_value"], base_values[torch.arange(4) % 2], rtol=0, atol=1e-5)
    assert got["completeness_error"].max() < 1e-5


@pytest.mark.heavy
@pytest.mark.parametrize("length", [1, 3, STEPS])
def test_the_gradient_is_the_derivative(
    gradient: onnxruntime.InferenceSession, network: nn.Module, length: int
) -> None:
    leaf = rows_of(4, length, 2).requires_grad_()
    (expected,) = torch.autograd.grad(network(leaf)[torch.arange(4), torch.arange(4) % 2].sum(), leaf)
    got = _run(gradient, leaf.detach())["gradient"]
    np.testing.assert_allclose(got[:, : LENGTH.place], expected[:, : LENGTH.place], rtol=0, atol=1e-5)
    assert not got[:, length * WIDTH :].any()


def test_rows_of_several_lengths_have_no_reasons(explain: onnxruntime.InferenceSession) -> None:
    _check_several(explain)


@pytest.mark.heavy
def test_rows_of_several_lengths_have_no_gradient(gradient: onnxruntime.InferenceSession) -> None:
    _check_several(gradient)


def _check_several(session: onnxruntime.InferenceSession) -> None:
    for name, value in _run(session, torch.cat([rows_of(1, 2, 1), rows_of(2, 3, 1)])).items():
        assert name == "explained_class" or np.isnan(value).all(), name
