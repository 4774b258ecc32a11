"""Recurrent layers in ONNX: each of the operators of `layers` becomes one of ONNX's."""

from collections.abc import Callable, Sequence
from typing import Any

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
    sequence, *last = op.LSTM(
        *_given(x, [*weights, both], hidden), op.Unsqueeze(cell, [0]), **_attributes(of_hidden, reverse)
    )
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


def _given(x: Any, weights: Sequence[Any], hidden: Any) -> tuple[Any, ...]:
    """The inputs of ONNX's operators: time in front, an axis of directions, no lengths of sequences."""
    directed = [op.Unsqueeze(weight, [0]) for weight in weights]
    return op.Transpose(x, perm=[1, 0, 2]), *directed, None, op.Unsqueeze(hidden, [0])


def _taken(sequence: Any, *last: Any) -> tuple[Any, ...]:
    """The outputs of PyTorch's layers: the batch in front, no axis of directions."""
    states = [op.Squeeze(state, [0]) for state in last]
    return op.Transpose(op.Squeeze(sequence, [1]), perm=[1, 0, 2]), *states


def _gates(weight: Any, order: tuple[int, ...]) -> Any:
    blocks = op.Split(weight, axis=0, num_outputs=len(order))
    return op.Concat(*(blocks[place] for place in order), axis=0)


def _attributes(of_hidden: Any, reverse: bool) -> dict[str, Any]:
    return {"hidden_size": of_hidden.shape[1], "direction": "reverse" if reverse else "forward"}


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    OPERATORS.lstm_layer.default: _lstm,
    OPERATORS.gru_layer.default: _gru,
    OPERATORS.rnn_layer.default: _rnn,
}
"""For the exporter to ONNX."""
