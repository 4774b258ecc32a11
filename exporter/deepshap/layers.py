"""Recurrent layers as one operator for each layer and direction, which one rule explains as a whole."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

Layer = Callable[..., tuple[Tensor, ...]]


@torch.library.custom_op("whyport::lstm_layer", mutates_args=())
def lstm_layer(
    x: Tensor, hidden: Tensor, cell: Tensor, of_input: Tensor, of_hidden: Tensor, bias: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """One direction of one layer: x [B, T, I], states [B, H] -> sequence [B, T, H] and the last states.

    `of_input` [4H, I] and `of_hidden` [4H, H] hold the gates in the order input, forget, candidate, output.
    """
    raise NotImplementedError("a name in the exported graph, never run")


@torch.library.custom_op("whyport::gru_layer", mutates_args=())
def gru_layer(
    x: Tensor, hidden: Tensor, of_input: Tensor, of_hidden: Tensor, bias: Tensor, hidden_bias: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """`lstm_layer` with the gates reset, update, candidate; `hidden_bias` is inside the reset gate's product."""
    raise NotImplementedError("a name in the exported graph, never run")


@torch.library.custom_op("whyport::rnn_layer", mutates_args=())
def rnn_layer(
    x: Tensor, hidden: Tensor, of_input: Tensor, of_hidden: Tensor, bias: Tensor, reverse: bool, relu: bool
) -> tuple[Tensor, Tensor]:
    """`lstm_layer` without gates; tanh, or ReLU."""
    raise NotImplementedError("a name in the exported graph, never run")


@lstm_layer.register_fake
def _(x: Tensor, hidden: Tensor, cell: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(*x.shape[:2], hidden.shape[1]), torch.empty_like(hidden), torch.empty_like(cell)


@gru_layer.register_fake
@rnn_layer.register_fake
def _(x: Tensor, hidden: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return x.new_empty(*x.shape[:2], hidden.shape[1]), torch.empty_like(hidden)


OPERATORS = torch.ops.whyport
"""The three, as they are called in the exported graph."""


def lstm(
    x: Tensor, states: list[Tensor], weights: list[Tensor], has_biases: bool, layers: int, *options: Any
) -> tuple[Tensor, ...]:
    """aten.lstm.input."""

    def run(x: Tensor, index: int, parts: Sequence[Tensor], reverse: bool) -> tuple[Tensor, ...]:
        of_input, of_hidden, *biases = parts
        bias = _sum(biases, of_input)
        layer: Layer = OPERATORS.lstm_layer
        return layer(x, states[0][index], states[1][index], of_input, of_hidden, bias, reverse)

    by_layer = _by_layer(weights, layers, options)
    projects = len(by_layer[0][0]) % 2 == 1  # then it stays as it is, an operator without a rule
    return NotImplemented if projects else _stack(run, x, by_layer, options)


def gru(
    x: Tensor, states: Tensor, weights: list[Tensor], has_biases: bool, layers: int, *options: Any
) -> tuple[Tensor, ...]:
    """aten.gru.input."""

    def run(x: Tensor, index: int, parts: Sequence[Tensor], reverse: bool) -> tuple[Tensor, ...]:
        of_input, of_hidden, *biases = parts
        bias, hidden_bias = biases or [_sum([], of_input)] * 2
        layer: Layer = OPERATORS.gru_layer
        return layer(x, states[index], of_input, of_hidden, bias, hidden_bias, reverse)

    return _stack(run, x, _by_layer(weights, layers, options), options)


def rnn(relu: bool) -> Callable[..., tuple[Tensor, ...]]:
    """aten.rnn_relu.input or aten.rnn_tanh.input."""

    def decomposition(
        x: Tensor, states: Tensor, weights: list[Tensor], has_biases: bool, layers: int, *options: Any
    ) -> tuple[Tensor, ...]:
        def run(x: Tensor, index: int, parts: Sequence[Tensor], reverse: bool) -> tuple[Tensor, ...]:
            of_input, of_hidden, *biases = parts
            layer: Layer = OPERATORS.rnn_layer
            return layer(x, states[index], of_input, of_hidden, _sum(biases, of_input), reverse, relu)

        return _stack(run, x, _by_layer(weights, layers, options), options)

    return decomposition


def _stack(
    run: Callable[[Tensor, int, Sequence[Tensor], bool], tuple[Tensor, ...]],
    x: Tensor,
    weights: list[list[Sequence[Tensor]]],
    options: Sequence[Any],
) -> tuple[Tensor, ...]:
    """Layers above each other; `options` are dropout (off in evaluation mode), train, bidirectional, batch_first."""
    batch_first = options[3]
    x = x if batch_first else x.transpose(0, 1)
    last: list[tuple[Tensor, ...]] = []
    for layer in weights:
        sequences = []
        for direction, parts in enumerate(layer):
            sequence, *states = run(x, len(last), parts, direction == 1)
            sequences.append(sequence)
            last.append(tuple(states))
        x = torch.cat(sequences, -1) if len(sequences) > 1 else sequences[0]
    x = x if batch_first else x.transpose(0, 1)
    return x, *(torch.stack(states) for states in zip(*last, strict=True))


def _by_layer(weights: list[Tensor], layers: int, options: Sequence[Any]) -> list[list[Sequence[Tensor]]]:
    directions = 2 if options[2] else 1
    size = len(weights) // (layers * directions)
    parts: list[Sequence[Tensor]] = [weights[start : start + size] for start in range(0, len(weights), size)]
    return [parts[start : start + directions] for start in range(0, len(parts), directions)]


def _sum(biases: Sequence[Tensor], of_input: Tensor) -> Tensor:
    return biases[0] + biases[1] if biases else of_input.new_zeros(of_input.shape[0])


DECOMPOSITIONS: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    aten.lstm.input: lstm,
    aten.gru.input: gru,
    aten.rnn_tanh.input: rnn(relu=False),
    aten.rnn_relu.input: rnn(relu=True),
}
