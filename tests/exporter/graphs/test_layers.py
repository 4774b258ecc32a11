"""Whole recurrent layers give what PyTorch's own give, in ONNX by one operator a layer and direction."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from support.oracles import sample
from whyport.exporter.graphs.layers import OPERATORS, WholeLayers
from whyport.exporter.graphs.onnx import export_lean, export_onnx, open_onnx
from whyport.exporter.graphs.pruning import all_nodes

STEPS, INPUTS, HIDDEN = 4, 3, 2
LAYERS: dict[str, Callable[[], nn.RNNBase]] = {
    "lstm": lambda: nn.LSTM(INPUTS, HIDDEN, batch_first=True),
    "two layers of an lstm in both directions, time in front": lambda: nn.LSTM(INPUTS, HIDDEN, 2, bidirectional=True),
    "gru": lambda: nn.GRU(INPUTS, HIDDEN, 2, batch_first=True, bidirectional=True),
    "gru without biases": lambda: nn.GRU(INPUTS, HIDDEN, bias=False, batch_first=True),
    "tanh": lambda: nn.RNN(INPUTS, HIDDEN, batch_first=True, bidirectional=True),
    "relu without biases": lambda: nn.RNN(INPUTS, HIDDEN, 2, nonlinearity="relu", bias=False, batch_first=True),
}


class Network(nn.Module):
    """A layer over rows [N, T * 3], from zero or from states of the row; its sequence and last states, side by side."""

    def __init__(self, layer: nn.RNNBase, *, from_zero: bool) -> None:
        super().__init__()
        self.layer = layer
        self.from_zero = from_zero
        self.states = layer.num_layers * (2 if layer.bidirectional else 1)
        self.start = nn.Linear(INPUTS, self.states * HIDDEN)

    def forward(self, rows: Tensor) -> tuple[Tensor]:
        x = rows.reshape(rows.shape[0], -1, INPUTS)
        state = self.start(x[:, 0]).reshape(-1, self.states, HIDDEN).transpose(0, 1).contiguous()
        first = None if self.from_zero else (state, 0.5 * state) if isinstance(self.layer, nn.LSTM) else state
        front = self.layer.batch_first
        sequence, last = self.layer(x if front else x.transpose(0, 1), first)
        given = [sequence if front else sequence.transpose(0, 1)]
        given += [state.transpose(0, 1) for state in (last if isinstance(last, tuple) else (last,))]
        return (torch.cat([value.flatten(1) for value in given], 1),)


class Whole(TorchDispatchMode):
    """Counts the calls of whole layers."""

    count = 0

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += str(operator).startswith("whyport.")
        return operator(*args, **(kwargs or {}))


def network(name: str, *, from_zero: bool = False) -> Network:
    torch.manual_seed(1)
    return Network(LAYERS[name](), from_zero=from_zero).eval().requires_grad_(False)


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_the_operators_give_what_pytorch_gives(name: str, from_zero: bool) -> None:
    layer = network(name, from_zero=from_zero).double()
    rows = sample(5, STEPS * INPUTS, 2, torch.float64)
    (expected,) = layer(rows)
    with WholeLayers(), Whole() as called:
        (got,) = layer(rows)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert called.count == layer.states


class Every(nn.Module):
    """Every layer beside the others, half of them from zero."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(network(name, from_zero=i % 2 == 0) for i, name in enumerate(LAYERS))

    def forward(self, rows: Tensor) -> tuple[Tensor]:
        return (torch.cat([layer(rows)[0] for layer in self.layers], 1),)


def test_onnx_has_one_operator_a_layer_and_direction() -> None:
    every = Every().eval()
    rows = sample(5, STEPS * INPUTS, 2)
    model = export_onnx(every, {"features": rows}, ["out"], 18)
    kinds = [node.op_type for node in all_nodes(model.graph.node)]
    assert sum(kinds.count(kind) for kind in ("LSTM", "GRU", "RNN")) == sum(layer.states for layer in every.layers)
    assert not {"Loop", "Scan", "Sigmoid", "Tanh"} & set(kinds)
    session = open_onnx(model.SerializeToString())
    every.double()
    for count in (1, 5):
        (expected,) = every(rows[:count].double())
        (got,) = session.run(None, {"features": rows[:count].numpy()})
        assert_allclose(got, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_layer_that_projects_its_states_is_written_in_steps() -> None:
    layer = nn.LSTM(INPUTS, HIDDEN, proj_size=1, batch_first=True).requires_grad_(False)
    rows = sample(5, STEPS * INPUTS, 2).reshape(5, STEPS, INPUTS)
    expected, _ = layer(rows)
    with WholeLayers(), Whole() as called:
        got, _ = layer(rows)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    assert called.count == 0


def test_a_packed_sequence_stays_as_it_is() -> None:
    layer = nn.GRU(INPUTS, HIDDEN, batch_first=True).requires_grad_(False)
    rows = sample(5, STEPS * INPUTS, 2).reshape(5, STEPS, INPUTS)
    packed = nn.utils.rnn.pack_padded_sequence(rows, torch.tensor([4, 3, 3, 2, 1]), batch_first=True)
    expected, _ = layer(packed)
    with WholeLayers(), Whole() as called:
        got, _ = layer(packed)
    torch.testing.assert_close(got.data, expected.data, rtol=0, atol=0)
    assert called.count == 0


class Walk(nn.Module):
    """The recurrence s' = f s + a, from zero or from a state of the row."""

    def __init__(self, reverse: bool, from_zero: bool) -> None:
        super().__init__()
        self.reverse, self.from_zero = reverse, from_zero

    def forward(self, factors: Tensor, added: Tensor) -> tuple[Any]:
        first = None if self.from_zero else 3 * added[:, 0]
        return (OPERATORS.linear_recurrence(factors, added, first, self.reverse),)


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_a_linear_recurrence_is_its_sum_of_products(reverse: bool, from_zero: bool) -> None:
    factors, added = (sample(5, STEPS * HIDDEN, seed).reshape(5, STEPS, HIDDEN) for seed in (1, 2))
    f, a = (value.double().numpy()[:, :: -1 if reverse else 1] for value in (factors, added))
    first = 0 * added[:, 0] if from_zero else 3 * added[:, 0]
    expected = np.stack(
        [
            first.numpy() * f[:, : t + 1].prod(1) + sum(a[:, s] * f[:, s + 1 : t + 1].prod(1) for s in range(t + 1))
            for t in range(STEPS)
        ],
        1,
    )[:, :: -1 if reverse else 1]
    walk = Walk(reverse, from_zero).eval()
    assert_allclose(walk(factors, added)[0], expected, rtol=1e-6, atol=1e-6)
    session = open_onnx(export_lean(walk, {"factors": factors, "added": added}, ["states"], 18).SerializeToString())
    for count in (1, 5):
        given = {"factors": factors[:count].numpy(), "added": added[:count].numpy()}
        assert_allclose(session.run(None, given)[0], expected[:count], rtol=1e-6, atol=1e-6)
