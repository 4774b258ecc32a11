"""The rule of a whole GRU layer in one direction, all gates of a step at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import loops
from whyport.exporter.deepshap.rules.recurrent import Recurrent, changes, constant_weights, sides
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule
from whyport.exporter.deepshap.rules.walks import first_states, in_front, walk
from whyport.exporter.graphs.layers import OPERATORS


class GRU(Recurrent):
    """Cho et al. 2014, as in cuDNN: n = tanh(x_n + r u), u = U h + b, h' = n + z (h - n)."""

    outputs = 2
    reads_outputs = (2, 3, 4, 5, 6)
    reads_portable = (2,)
    of_input: Tensor
    of_hidden: Tensor
    bias: Tensor
    hidden_bias: Tensor
    scale: Tensor

    def __init__(
        self, length: int, reverse: bool, states: Sequence[Operand], weights: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> None:
        super().__init__(length, reverse, states)
        self.hidden = weights[1].shape[1]
        # As in the LSTM, a sigmoid is taken as tanh of the half argument.
        halves = torch.ones(3, self.hidden, dtype=weights[1].dtype)
        halves[:2] = 0.5
        self.register_buffer("scale", halves.flatten())
        for name, tensor in zip(("of_input", "of_hidden", "bias", "hidden_bias"), weights, strict=True):
            self.register_buffer(name, tensor * (self.scale[:, None] if tensor.ndim > 1 else self.scale))

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (h,) = self.states(inputs)
        of_input = inputs[0] @ self.of_input.T + self.bias
        return loops.gru_forward(of_input, h, self.of_hidden.T, self.hidden_bias, self.reverse)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        given, weights = self.given(multipliers, self.hidden), [self.of_input, self.of_hidden]
        of_input, *of_states = loops.gru_backward(given, *sides(outputs), weights, self.reverse)
        return self.players(of_input, of_states)

    def activate_portable(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The sequence by one operator; from it all gates at once."""
        size = self.hidden
        (h,) = self.portable_states(inputs)
        x = inputs[0].squeeze(1)
        weights = (
            value / (self.scale[:, None] if value.ndim > 1 else self.scale)
            for value in (self.of_input, self.of_hidden, self.bias, self.hidden_bias)
        )
        sequence, last = OPERATORS.gru_layer(x, h, *weights, self.reverse)
        before = self.before(h, sequence)
        of_input, x = torch.split(x @ self.of_input.T + self.bias, [2 * size, size], -1)
        of_hidden, u = torch.split(before @ self.of_hidden.T + self.hidden_bias, [2 * size, size], -1)
        half = of_input + of_hidden
        gates = torch.tanh(half)
        opened = 0.5 * gates + 0.5
        r = opened[..., :size]
        inner = x + r * u
        n = torch.tanh(inner)
        others = 0.5 * torch.cat([0.5 * u, 0.5 * (before - n), opened], -1)
        packed = torch.cat([half, inner, gates, n, others], -1)
        return [value.unsqueeze(1) for value in (sequence, last, packed)]

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """The walk back through time is one product a step: of the state four times, and of what it keeps."""
        size = self.hidden
        (packed,) = (in_front(pair) for pair in outputs)
        quotient, of_u, of_difference, reset, z = changes(packed, 3 * size, size, size, size, size)
        of_reset, of_update, of_inner = torch.split(quotient, size, -1)
        n = (1 - z) * of_inner
        factors = torch.cat([n * of_u * of_reset, of_difference * of_update, n * reset, n, z], -1)
        states, given = first_states(multipliers[0], multipliers[1:], packed, size)
        nothing = self.of_hidden.new_zeros(size, size)
        weight = torch.cat([self.of_hidden, nothing, torch.eye(size).to(nothing)])

        def step(states: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            (h,), (factor, *of_step) = states, given
            h = h + of_step[0] if of_step else h
            made = torch.cat([h] * 5, -1) * factor
            return (made @ weight,), made

        of_states, made = walk(step, states, [factors, *given], backwards=not self.reverse)
        nothing = self.of_input.new_zeros(size, self.of_input.shape[1])
        of_input = torch.cat([self.of_input[: 2 * size], nothing, self.of_input[2 * size :], nothing])
        return self.players((made @ of_input).movedim(0, -2), of_states)


@rule_for(OPERATORS.gru_layer.default)
def _gru(call: Call, x: Active, hidden: Operand, *rest: Any) -> Rule:
    *tensors, reverse = rest
    return GRU(x.shape[1], reverse, [hidden], constant_weights(call, *tensors))
