"""explain.onnx and gradient.onnx of recurrent networks: one Scan for all steps, and attributions as in float64."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from support.oracles import sample, uneven_weights
from support.recurrent_networks import HIDDEN, INPUTS, Recurrent, Stacked
from whyport.exporter.deepshap import build_program
from whyport.exporter.graphs.heads import LogitsHead
from whyport.exporter.graphs.onnx import export_lean, open_onnx
from whyport.exporter.graphs.pruning import all_nodes
from whyport.exporter.reasons.graphs import REFERENCES, ExplainGraph, GradientGraph
from whyport.runtime.bundle.references import References
from whyport.runtime.task import Classification

TASK = Classification(("no", "yes"))
COUNT = 4
"""References."""
FIRST = ["logits", "probabilities", "explained_class", "score"]
GIVEN = [*FIRST, "gradient"]


def explain_graph(
    network: nn.Module, steps: int, unfolded: Sequence[str] = (REFERENCES,)
) -> tuple[onnx.ModelProto, References]:
    rows = sample(5, steps * INPUTS, 1)
    references = References(sample(COUNT, steps * INPUTS, 2).numpy(), uneven_weights(COUNT).double().numpy())
    graph = ExplainGraph(build_program(network, rows), None, TASK, LogitsHead(), references)
    return _exported(graph, rows, [*FIRST, "base_value", "attribution", "completeness_error"], unfolded), references


def _exported(
    graph: nn.Module, rows: torch.Tensor, outputs: list[str], unfolded: Sequence[str] = ()
) -> onnx.ModelProto:
    inputs = {"features": rows, "class_index": torch.arange(len(rows)) % 3 - 1}
    return export_lean(graph.eval(), inputs, outputs, 18, unfolded)


def _counts(model: onnx.ModelProto) -> dict[str, int]:
    kinds = [node.op_type for node in all_nodes(model.graph.node)]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


@pytest.fixture(scope="module")
def stacked() -> nn.Module:
    torch.manual_seed(3)
    return Stacked().eval().requires_grad_(False)


@pytest.mark.parametrize("unfolded", [(), (REFERENCES,)], ids=["references folded", "references computed on loading"])
def test_every_kind_of_layer_is_explained_as_in_float64(stacked: nn.Module, unfolded: tuple[str, ...]) -> None:
    steps = COUNT  # neither axis is taken for the other
    model, references = explain_graph(stacked, steps, unfolded)
    assert {"Scan", "GRU", "LSTM", "RNN"} <= set(_counts(model))
    assert {node.domain for node in all_nodes(model.graph.node)} == {""}
    session = open_onnx(model.SerializeToString())
    rows = 1.5 * sample(7, steps * INPUTS, 3)
    unrolled = build_program(stacked, rows, fused=False).double()
    with torch.no_grad():
        of_references = unrolled.activations(torch.from_numpy(references.rows).double())
        weights = torch.from_numpy(references.weights)
        exact = unrolled.attribute(unrolled.activations(rows.double()), of_references, weights).numpy()
    for count in (1, 2, 7):
        index = np.arange(count) % 2
        outputs = ["attribution", "completeness_error"]
        got, error = session.run(outputs, {"features": rows[:count].numpy(), "class_index": index})
        np.testing.assert_allclose(got, exact[np.arange(count), index], rtol=0, atol=1e-6)
        assert error.max() < 1e-6


def test_the_gradient_is_the_derivative(stacked: nn.Module) -> None:
    rows = sample(5, 3 * INPUTS, 1)
    program = build_program(stacked, rows)
    model = _exported(GradientGraph(program, None, TASK, LogitsHead()), rows, GIVEN)
    assert "Scan" in _counts(model)
    leaf = (1.5 * sample(7, 3 * INPUTS, 3)).requires_grad_()
    index = torch.arange(7) % 2
    (expected,) = torch.autograd.grad(stacked(leaf)[torch.arange(7), index].sum(), leaf)
    session = open_onnx(model.SerializeToString())
    (got,) = session.run(["gradient"], {"features": leaf.detach().numpy(), "class_index": index.numpy()})
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


HEAVY = pytest.mark.heavy
LAYERS = {
    "gru": lambda: nn.GRU(INPUTS, HIDDEN, batch_first=True, bidirectional=True),
    "lstm": lambda: nn.LSTM(INPUTS, HIDDEN, batch_first=True, bidirectional=True),
    "rnn": lambda: nn.RNN(INPUTS, HIDDEN, batch_first=True, bidirectional=True),
    "lstm in one direction": lambda: nn.LSTM(INPUTS, HIDDEN, batch_first=True),
    "two layers of a gru": lambda: nn.GRU(INPUTS, HIDDEN, 2, batch_first=True, bidirectional=True),
}


@pytest.mark.parametrize("name", ["gru", *(pytest.param(name, marks=HEAVY) for name in list(LAYERS)[1:])])
def test_neither_nodes_nor_bytes_grow_with_the_number_of_steps(name: str) -> None:
    torch.manual_seed(3)
    layer = LAYERS[name]()
    network = Recurrent(layer, from_zero=True).eval().requires_grad_(False)
    (few, short), (many, long) = (explain_graph(network, steps) for steps in (24, 512))
    assert _counts(few) == _counts(many)
    assert _counts(few)["Scan"] == network.states
    assert sum(_counts(many).values()) <= 300 * layer.num_layers
    # The references themselves, and the network's own numbers by step: activations of the references are far more.
    assert many.ByteSize() - few.ByteSize() < 1.5 * (long.rows.nbytes - short.rows.nbytes)


def test_the_gradient_has_as_many_nodes_for_any_number_of_steps() -> None:
    torch.manual_seed(3)
    network = Recurrent(LAYERS["lstm"](), from_zero=True).eval().requires_grad_(False)

    def counts(steps: int) -> dict[str, int]:
        rows = sample(5, steps * INPUTS, 1)
        return _counts(_exported(GradientGraph(build_program(network, rows), None, TASK, LogitsHead()), rows, GIVEN))

    assert counts(24) == counts(512)
