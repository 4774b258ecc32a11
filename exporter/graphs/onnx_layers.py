"""Recurrent layers in ONNX: each of the operators of `layers` becomes one of ONNX's."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnxscript import opset18

from whyport.exporter.graphs.layers import OPERATORS

op: Any = opset18
"""The operator set that PyTorch's exporter writes, before it converts the whole to another."""

# The places in PyTorch's order of the gates that ONNX has: input, output, forget, cell; and update, reset, hidden.
LSTM_GATES = (0, 3, 1, 2)
GRU_GATES = (1, 0, 2)


def _lstm(x: Any, hidden: Any, cell: Any, of_input: Any, of_hidden: Any, bias: Any, reverse: bool) -> Any:
    both = op.Concat(_gates(bias, LSTM_GATES), op.Mul(bias, 0.0), axis=0)
    weights = [_gates(weight, LSTM_GATES) for weight in (of_input, of_hidden)]
    given = _given(x, [*weights, both], hidden, cell)
    sequence, *last = op.LSTM(*given, **_attributes(of_hidden, reverse))
    return _taken(sequence, *last)


def _gru(x: Any, hidden: Any, of_input: Any, of_hidden: Any, bias: Any, hidden_bias: Any, reverse: bool) -> Any:
    both = op.Concat(_gates(bias, GRU_GATES), _gates(hidden_bias, GRU_GATES), axis=0)
    weights = [_gates(weight, GRU_GATES) for weight in (of_input, of_hidden)]
    attributes = _attributes(of_hidden, reverse)
    return _taken(*op.GRU(*_given(x, [*weights, both], hidden), linear_before_reset=1, **attributes))


def _rnn(x: Any, hidden: Any, of_input: Any, of_hidden: Any, bias: Any, reverse: bool, relu: bool) -> Any:
    both = op.Concat(bias, op.Mul(bias, 0.0), axis=0)
    attributes = _attributes(of_hidden, reverse) | {"activations": ["Relu" if relu else "Tanh"]}
    return _taken(*op.RNN(*_given(x, [of_input, of_hidden, both], hidden), **attributes))


def _linear_recurrence(factors: Any, added: Any, first: Any, reverse: bool) -> Any:
    """An LSTM whose functions are the identity: c' = f c + i g, with the input for f and g, and a one for i and o."""
    size = added.shape[2]
    none, unit = np.zeros((size, size), np.float32), np.eye(size, dtype=np.float32)
    of_input = np.block([[none, none], [none, none], [unit, none], [none, unit]])  # in ONNX's order of the gates
    biases = np.repeat(np.array([1, 1, 0, 0, 0, 0, 0, 0], np.float32), size)
    of_states = np.zeros((4 * size, size), np.float32)
    weights = [op.Constant(value=onnx.numpy_helper.from_array(value)) for value in (of_input, of_states, biases)]
    given = _given(op.Concat(factors, added, axis=-1), weights, None, first)
    identity = {"activations": ["Affine"] * 3, "activation_alpha": [1.0] * 3, "activation_beta": [0.0] * 3}
    states, *_ = op.LSTM(*given, hidden_size=size, direction=_direction(reverse), **identity)
    return _taken(states)[0]


def _given(x: Any, weights: Sequence[Any], *states: Any) -> tuple[Any, ...]:
    """The inputs of ONNX's operators: time in front, an axis of directions, no lengths of sequences."""
    directed = [op.Unsqueeze(weight, [0]) for weight in weights]
    first = [None if state is None else op.Unsqueeze(state, [0]) for state in states]
    return op.Transpose(x, perm=[1, 0, 2]), *directed, None, *first


def _taken(sequence: Any, *last: Any) -> tuple[Any, ...]:
    """The outputs of PyTorch's layers: the batch in front, no axis of directions."""
    states = [op.Squeeze(state, [0]) for state in last]
    return op.Transpose(op.Squeeze(sequence, [1]), perm=[1, 0, 2]), *states


def _gates(weight: Any, order: tuple[int, ...]) -> Any:
    blocks = op.Split(weight, axis=0, num_outputs=len(order))
    return op.Concat(*(blocks[place] for place in order), axis=0)


def _attributes(of_hidden: Any, reverse: bool) -> dict[str, Any]:
    return {"hidden_size": of_hidden.shape[1], "direction": _direction(reverse)}


def _direction(reverse: bool) -> str:
    return "reverse" if reverse else "forward"


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    OPERATORS.lstm_layer.default: _lstm,
    OPERATORS.gru_layer.default: _gru,
    OPERATORS.rnn_layer.default: _rnn,
    OPERATORS.linear_recurrence.default: _linear_recurrence,
}
"""For the exporter to ONNX."""
