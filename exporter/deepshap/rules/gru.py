"""The rule of a whole GRU layer in one direction, all gates of a step at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import loops
from whyport.exporter.deepshap.rules.recurrent import Recurrent, constant_weights, sides, tanh_quotient
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule
from whyport.exporter.deepshap.rules.walks import first_states, in_front, walk
from whyport.exporter.graphs.layers import OPERATORS


class GRU(Recurrent):
    """Cho et al. 2014, as in cuDNN: n = tanh(x_n + r u), u = U h + b, h' = n + z (h - n)."""

    outputs = 2
    reads_outputs = (2, 3, 4, 5, 6)
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
        (h,) = (state.squeeze(1) for state in self.states(inputs))
        x = inputs[0].squeeze(1)
        weights = (
            value / (self.scale[:, None] if value.ndim > 1 else self.scale)
            for value in (self.of_input, self.of_hidden, self.bias, self.hidden_bias)
        )
        sequence, last = OPERATORS.gru_layer(x, h, *weights, self.reverse)
        before = self.before(h, sequence)
        of_input = x @ self.of_input.T + self.bias
        of_hidden = before @ self.of_hidden.T + self.hidden_bias
        u = of_hidden[..., 2 * size :]
        half = of_input[..., : 2 * size] + of_hidden[..., : 2 * size]
        gates = torch.tanh(half)
        r, z = torch.split(0.5 * gates + 0.5, size, -1)
        inner = of_input[..., 2 * size :] + r * u
        n = torch.tanh(inner)
        halves, tanhs = torch.cat([half, inner], -1), torch.cat([gates, n], -1)
        partners = torch.cat([0.5 * u, 0.5 * (before - n)], -1)
        return [value.unsqueeze(1) for value in (sequence, last, halves, tanhs, r, z, partners)]

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """The walk back through time holds only the products that carry multipliers from step to step."""
        half, tanh, reset, update, partner = (in_front(pair) for pair in outputs)
        of_reset, of_update, of_inner = torch.split(tanh_quotient(half, tanh), self.hidden, -1)
        of_u, of_difference = torch.split(partner.mean(), self.hidden, -1)
        z = update.mean()
        n = (1 - z) * of_inner
        gates = torch.cat([n * of_u * of_reset, of_difference * of_update], -1)
        factors = [torch.cat([gates, n * reset.mean()], -1), z]
        states, given = first_states(multipliers[0], multipliers[1:], half, self.hidden)
        weight = self.of_hidden

        def step(states: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            (h,), (factor, z, *of_step) = states, given
            h = h + of_step[0] if of_step else h
            return (h * z + (torch.cat([h, h, h], -1) * factor) @ weight,), h.clone()

        of_states, after = walk(step, states, [*factors, *given], backwards=not self.reverse)
        of_arguments = torch.cat([after] * 3, -1) * torch.cat([gates, n], -1).unsqueeze(1)
        return self.players((of_arguments @ self.of_input).movedim(0, -2), of_states)


@rule_for(OPERATORS.gru_layer.default)
def _gru(call: Call, x: Active, hidden: Operand, *rest: Any) -> Rule:
    *tensors, reverse = rest
    return GRU(x.shape[1], reverse, [hidden], constant_weights(call, *tensors))
