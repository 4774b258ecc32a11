"""Recurrent operators of ONNX as PyTorch's layers, with the gates in PyTorch's order."""

from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whyport.exporter.networks.operators import LAYERS, Attributes

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""The positions of PyTorch's gates among those of ONNX."""
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


@final
class Recurrent(nn.Module):
    """A recurrent layer of one or two directions, from zero states.

    Args:
        layer: PyTorch's, with the time first.
        reverse: whether the one direction is backwards.
    """

    def __init__(self, layer: nn.RNNBase, *, reverse: bool) -> None:
        super().__init__()
        self.layer = layer
        self.reverse = reverse
        self.directions = 2 if layer.bidirectional else 1

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Steps [T, N, I] to the sequence [T, D, N, H] and the last states [D, N, H]."""
        sequence, last = self.layer(x.flip(0) if self.reverse else x)
        sequence = sequence.flip(0) if self.reverse else sequence
        sequence = torch.unflatten(sequence, -1, (self.directions, self.layer.hidden_size)).permute(0, 2, 1, 3)
        return (sequence, *last) if isinstance(last, tuple) else (sequence, last)


def build(attributes: Attributes, operands: list[NDArray[Any] | None]) -> nn.Module:
    """The layer of a node.

    Args:
        attributes: the node's.
        operands: the weights [D, G * H, I] and [D, G * H, H], and what else is given: biases, lengths, states.
    """
    kind = attributes.operator
    weights, recurrent, biases, lengths, *states = [*operands, None, None]
    assert weights is not None
    assert recurrent is not None
    direction = attributes.get("direction", "forward")
    names = list(attributes.get("activations", []))
    names = [name.decode() if isinstance(name, bytes) else name for name in names]
    relu = kind == "RNN" and set(names) == {"Relu"}
    if names and not relu and names != ACTIVATIONS[kind] * len(weights):
        attributes.refuse(f"with the activations {', '.join(names)}")
    attributes.allow(layout=0, input_forget=0, clip=None)
    if kind == "GRU" and not attributes.get("linear_before_reset"):
        attributes.refuse("with linear_before_reset 0")
    if lengths is not None:
        attributes.refuse("with lengths of sequences")
    if any(state is not None and np.any(state != 0) for state in states):
        attributes.refuse("with peepholes or an initial state other than zero")
    hidden = attributes.get("hidden_size") or recurrent.shape[2]
    options = {"nonlinearity": "relu"} if relu else {}
    made = getattr(nn, kind)(weights.shape[2], hidden, bidirectional=direction == "bidirectional", **options)
    _fill(made, kind, (weights, recurrent, biases))
    return Recurrent(made.eval().requires_grad_(False), reverse=direction == "reverse")


def _fill(layer: nn.RNNBase, kind: str, given: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]) -> None:
    weights, recurrent, biases = given
    rows = weights.shape[1]
    with torch.no_grad():
        for direction in range(len(weights)):
            suffix = "_reverse" if direction else ""
            bias = np.zeros(2 * rows) if biases is None else biases[direction]
            parts = {
                "weight_ih_l0": weights[direction],
                "weight_hh_l0": recurrent[direction],
                "bias_ih_l0": bias[:rows],
                "bias_hh_l0": bias[rows:],
            }
            for name, value in parts.items():
                gates = np.split(value, len(GATES[kind]))
                ordered = np.concatenate([gates[i] for i in GATES[kind]]).astype(np.float32)
                getattr(layer, name + suffix).copy_(torch.from_numpy(ordered))


LAYERS.update(dict.fromkeys(GATES, build))
