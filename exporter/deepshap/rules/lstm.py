"""The rule of a whole LSTM layer in one direction, all gates of a step at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import loops
from whyport.exporter.deepshap.rules.recurrent import Recurrent, changes, constant_weights, sides
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, rule_for
from whyport.exporter.deepshap.rules.rule import Kernel, Pair, Rule
from whyport.exporter.deepshap.rules.walks import first_states, in_front, walk
from whyport.exporter.graphs.layers import OPERATORS
from whyport.runtime.bundle.deepshap import KernelName


class LSTM(Recurrent):
    """Hochreiter & Schmidhuber 1997: c' = f c + i g, h' = o tanh c'.

    With tanh z = 2 sigmoid(2 z) - 1 every nonlinearity is a sigmoid: the candidate's weights are doubled, and the five
    blocks input, forget, candidate, output and cell are computed as one. Of each block there are kept the half of the
    sigmoid's argument, that half's tanh, and the partner: what the block's output is multiplied by in the cell.
    """

    outputs = 3
    reads_outputs = (3, 4, 5, 6)
    reads_portable = (3,)
    weight: Tensor
    bias: Tensor
    scale: Tensor

    def __init__(
        self, length: int, reverse: bool, states: Sequence[Operand], weights: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        super().__init__(length, reverse, states)
        of_input, of_hidden, bias = weights
        self.hidden, self.width = of_hidden.shape[1], of_input.shape[1]
        halves = torch.full((4, self.hidden), 0.5)
        halves[2] = 1.0
        self.register_buffer("scale", halves.flatten().to(bias.dtype))
        self.register_buffer("weight", torch.cat([of_hidden, of_input], 1) * self.scale[:, None])
        self.register_buffer("bias", bias * self.scale)
        if not any(self.active):
            self.kernel = Kernel(KernelName.LSTM, {"order": self.order})

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        h, c = self.states(inputs)
        of_input = inputs[0] @ self.weight[:, self.hidden :].T + self.bias
        return loops.lstm_forward(of_input, h, c, self.weight[:, : self.hidden].T, self.reverse)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        given = self.given(multipliers, self.hidden)
        of_input, *of_states = loops.lstm_backward(given, *sides(outputs), self.weight, self.reverse)
        return self.players(of_input, of_states)

    def activate_portable(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The sequence by one operator; from it all gates at once, and the cells from the gates."""
        size = self.hidden
        whole = self.weight * (1 / self.scale)[:, None]
        x = inputs[0].squeeze(1)
        h, c = self.portable_states(inputs)
        weights = whole[:, size:], whole[:, :size], self.bias / self.scale
        sequence, last, _ = OPERATORS.lstm_layer(x, h, c, *weights, self.reverse)
        half = torch.cat([self.before(h, sequence), x], -1) @ self.weight.T + self.bias
        tanh = torch.tanh(half)
        i, f, g, o = torch.split(tanh, size, -1)
        i, f, o = (0.5 * gate + 0.5 for gate in (i, f, o))
        cell = OPERATORS.linear_recurrence(f, i * g, c, self.reverse)
        squashed = torch.tanh(cell)
        others = [0.5 * g, 0.5 * self.before(c, cell), i, 0.5 * squashed, o, f]
        packed = torch.cat([half, cell, tanh, squashed, 0.5 * torch.cat(others, -1)], -1)
        return [value.unsqueeze(1) for value in (sequence, last, cell[:, 0 if self.reverse else -1], packed)]

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """The walk back through time holds only the products that carry multipliers from step to step."""
        (packed,) = (in_front(pair) for pair in outputs)
        quotient, partner, forget = changes(packed, 5 * self.hidden, 5 * self.hidden, self.hidden)
        of_gates, of_squashed = torch.split(partner * quotient, [4 * self.hidden, self.hidden], -1)
        states, given = first_states(multipliers[0], multipliers[1:], packed, self.hidden)
        of_hidden = self.weight[:, : self.hidden].contiguous()

        def step(states: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            h, c = states
            gates, squashed, forget, *of_step = given
            h = h + of_step[0] if of_step else h
            c = h * squashed + c
            of_arguments = torch.cat([c, c, c, h], -1) * gates
            return (of_arguments @ of_hidden, c * forget), of_arguments

        factors = [of_gates, of_squashed, forget]
        of_states, of_arguments = walk(step, states, [*factors, *given], backwards=not self.reverse)
        of_input = of_arguments @ self.weight[:, self.hidden :]
        return self.players(of_input.movedim(0, -2), of_states)


@rule_for(OPERATORS.lstm_layer.default)
def _lstm(call: Call, x: Active, hidden: Operand, cell: Operand, *rest: Any) -> Rule:
    *tensors, reverse = rest
    return LSTM(x.shape[1], reverse, [hidden, cell], constant_weights(call, *tensors))
