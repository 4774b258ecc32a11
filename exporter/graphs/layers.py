"""Recurrent layers as one operator for each layer and direction, so that no exporter walks over their steps.

PyTorch's exporters unroll a recurrent layer: every step becomes a dozen nodes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Layer = Callable[..., tuple[Tensor, ...]]


@torch.library.custom_op("whyport::lstm_layer", mutates_args=())
def lstm_layer(
    x: Tensor,
    hidden: Tensor | None,
    cell: Tensor | None,
    of_input: Tensor,
    of_hidden: Tensor,
    bias: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """One direction of one layer: x [B, T, I], states [B, H] -> sequence [B, T, H] and the last states.

    States that are not given are 0.

    `of_input` [4H, I] and `of_hidden` [4H, H] hold the gates in the order input, forget, candidate, output.
    """
    states = _first(hidden, x, of_hidden), _first(cell, x, of_hidden)
    weights = [of_input, of_hidden, bias, torch.zeros_like(bias)]
    sequence, *last = torch.lstm(_in_order(x, reverse), states, weights, *_PLAIN)
    return _in_order(sequence, reverse).clone(), *(state.squeeze(0) for state in last)  # type: ignore[return-value]


@torch.library.custom_op("whyport::gru_layer", mutates_args=())
def gru_layer(
    x: Tensor,
    hidden: Tensor | None,
    of_input: Tensor,
    of_hidden: Tensor,
    bias: Tensor,
    hidden_bias: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """`lstm_layer` with the gates reset, update, candidate; `hidden_bias` is inside the reset gate's product."""
    weights = [of_input, of_hidden, bias, hidden_bias]
    sequence, last = torch.gru(_in_order(x, reverse), _first(hidden, x, of_hidden), weights, *_PLAIN)
    return _in_order(sequence, reverse).clone(), last.squeeze(0)


@torch.library.custom_op("whyport::rnn_layer", mutates_args=())
def rnn_layer(
    x: Tensor,
    hidden: Tensor | None,
    of_input: Tensor,
    of_hidden: Tensor,
    bias: Tensor,
    reverse: bool,
    relu: bool,
) -> tuple[Tensor, Tensor]:
    """`lstm_layer` without gates; tanh, or ReLU."""
    run = torch.rnn_relu if relu else torch.rnn_tanh
    weights = [of_input, of_hidden, bias, torch.zeros_like(bias)]
    sequence, last = run(_in_order(x, reverse), _first(hidden, x, of_hidden), weights, *_PLAIN)
    return _in_order(sequence, reverse).clone(), last.squeeze(0)


@torch.library.custom_op("whyport::linear_recurrence", mutates_args=())
def linear_recurrence(factors: Tensor, added: Tensor, first: Tensor | None, reverse: bool) -> Tensor:
    """s' = f s + a of each unit by itself: factors and added [B, T, H], first state [B, H] -> states [B, T, H].

    A first state that is not given is 0.
    """
    states = torch.empty_like(added)
    state = torch.zeros_like(added[:, 0]) if first is None else first
    steps = range(added.shape[1])
    for t in reversed(steps) if reverse else steps:
        state = factors[:, t] * state + added[:, t]
        states[:, t] = state
    return states


# Biases, one layer, no dropout, no training, one direction, the batch first.
_PLAIN = (True, 1, 0.0, False, False, True)


def _first(state: Tensor | None, x: Tensor, of_hidden: Tensor) -> Tensor:
    return x.new_zeros(1, len(x), of_hidden.shape[1]) if state is None else state.unsqueeze(0)


def _in_order(x: Tensor, reverse: bool) -> Tensor:
    return x.flip(1) if reverse else x


@lstm_layer.register_fake
def _(x: Tensor, hidden: Any, cell: Any, of_input: Tensor, of_hidden: Tensor, *_: Any) -> tuple[Tensor, ...]:
    sequence, last = _made(x, of_hidden)
    return sequence, last, torch.empty_like(last)


@gru_layer.register_fake
@rnn_layer.register_fake
def _(x: Tensor, hidden: Any, of_input: Tensor, of_hidden: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return _made(x, of_hidden)


def _made(x: Tensor, of_hidden: Tensor) -> tuple[Tensor, Tensor]:
    size = of_hidden.shape[1]
    return x.new_empty(*x.shape[:2], size), x.new_empty(x.shape[0], size)


@linear_recurrence.register_fake
def _(factors: Tensor, added: Tensor, first: Tensor | None, reverse: bool) -> Tensor:
    return added.new_empty(added.shape)


OPERATORS = torch.ops.whyport
"""All of them, as they are called in an exported graph."""


class WholeLayers(TorchFunctionMode):
    """A mode in which PyTorch's recurrent layers call these operators, as long as an exporter traces them.

    A layer that takes packed sequences stays as it is. One that projects its states is written step by step.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """PyTorch's own protocol."""
        whole = _WHOLE.get(getattr(function, "__name__", ""))
        # Of packed sequences, the fourth argument is the weights.
        if whole is not None and len(args) == _ARGUMENTS and isinstance(args[3], bool):
            return whole(*args)
        return function(*args, **(kwargs or {}))


_ARGUMENTS = 9
"""Input, states, weights, whether there are biases, layers, dropout, train, bidirectional, batch_first."""


def _lstm(
    x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], has_biases: bool, layers: int, *options: Any
) -> tuple[Tensor, ...]:
    def run(x: Tensor, index: int, parts: Sequence[Tensor], reverse: bool) -> tuple[Tensor, ...]:
        of_input, of_hidden, *biases = parts
        projection = biases.pop() if len(biases) % 2 else None
        bias = _sum(biases, of_input)
        if projection is not None:
            plain = (of_input, of_hidden, projection)
            return _projecting(x, states[0][index], states[1][index], plain, bias, reverse)
        layer: Layer = OPERATORS.lstm_layer
        return layer(x, states[0][index], states[1][index], of_input, of_hidden, bias, reverse)

    return _stack(run, x, _by_layer(weights, layers, options), options)


def _projecting(
    x: Tensor, hidden: Tensor, cell: Tensor, weights: Sequence[Tensor], bias: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM whose hidden state is a projection, as no exporter has it; Sak et al. 2014, arXiv:1402.1128."""
    of_input, of_hidden, projection = weights
    sequence = []
    for step in _in_order(x, reverse).unbind(1):
        gates = step @ of_input.T + hidden @ of_hidden.T + bias
        let_in, forget, candidate, let_out = gates.chunk(4, 1)
        cell = forget.sigmoid() * cell + let_in.sigmoid() * candidate.tanh()
        hidden = (let_out.sigmoid() * cell.tanh()) @ projection.T
        sequence.append(hidden)
    return _in_order(torch.stack(sequence, 1), reverse), hidden, cell


def _gru(
    x: Tensor, states: Tensor, weights: Sequence[Tensor], has_biases: bool, layers: int, *options: Any
) -> tuple[Tensor, ...]:
    def run(x: Tensor, index: int, parts: Sequence[Tensor], reverse: bool) -> tuple[Tensor, ...]:
        of_input, of_hidden, *biases = parts
        bias, hidden_bias = biases or [_sum([], of_input)] * 2
        layer: Layer = OPERATORS.gru_layer
        return layer(x, states[index], of_input, of_hidden, bias, hidden_bias, reverse)

    return _stack(run, x, _by_layer(weights, layers, options), options)


def _rnn(relu: bool) -> Callable[..., tuple[Tensor, ...]]:
    def whole(
        x: Tensor, states: Tensor, weights: Sequence[Tensor], has_biases: bool, layers: int, *options: Any
    ) -> tuple[Tensor, ...]:
        def run(x: Tensor, index: int, parts: Sequence[Tensor], reverse: bool) -> tuple[Tensor, ...]:
            of_input, of_hidden, *biases = parts
            layer: Layer = OPERATORS.rnn_layer
            return layer(x, states[index], of_input, of_hidden, _sum(biases, of_input), reverse, relu)

        return _stack(run, x, _by_layer(weights, layers, options), options)

    return whole


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


def _by_layer(weights: Sequence[Tensor], layers: int, options: Sequence[Any]) -> list[list[Sequence[Tensor]]]:
    directions = 2 if options[2] else 1
    size = len(weights) // (layers * directions)
    parts: list[Sequence[Tensor]] = [weights[start : start + size] for start in range(0, len(weights), size)]
    return [parts[start : start + directions] for start in range(0, len(parts), directions)]


def _sum(biases: Sequence[Tensor], of_input: Tensor) -> Tensor:
    return biases[0] + biases[1] if biases else of_input.new_zeros(of_input.shape[0])


_WHOLE: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": _rnn(relu=False),
    "rnn_relu": _rnn(relu=True),
}
