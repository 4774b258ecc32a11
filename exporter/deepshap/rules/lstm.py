"""The rule of a whole LSTM layer in one direction, all gates of a step at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.layers import OPERATORS
from whyport.exporter.deepshap.rules.recurrent import Recurrent, at, constant_weights, plus, tanh_quotient
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, rule_for
from whyport.exporter.deepshap.rules.rule import Kernel, Pair, Rule
from whyport.runtime.bundle.deepshap import KernelName


class LSTM(Recurrent):
    """Hochreiter & Schmidhuber 1997: c' = f c + i g, h' = o tanh c'.

    With tanh z = 2 sigmoid(2 z) - 1 every nonlinearity is a sigmoid: the candidate's weights are doubled, and the five
    blocks input, forget, candidate, output and cell are computed as one. Of each block there are kept the half of the
    sigmoid's argument, that half's tanh, and the partner: what the block's output is multiplied by in the cell.
    """

    outputs = 3
    reads_outputs = (3, 4, 5, 6)
    weight: Tensor
    bias: Tensor

    def __init__(
        self, length: int, reverse: bool, states: Sequence[Operand], weights: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        super().__init__(length, reverse, states)
        of_input, of_hidden, bias = weights
        self.hidden, self.width = of_hidden.shape[1], of_input.shape[1]
        halves = torch.full((4, self.hidden), 0.5)
        halves[2] = 1.0
        scale = halves.flatten().to(bias.dtype)
        self.register_buffer("weight", torch.cat([of_hidden, of_input], 1) * scale[:, None])
        self.register_buffer("bias", bias * scale)
        if not any(self.active):
            self.kernel = Kernel(KernelName.LSTM, {"order": self.order})

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        h, c = self.states(inputs)
        of_input = inputs[0] @ self.weight[:, self.hidden :].T + self.bias
        of_hidden = self.weight[:, : self.hidden].T
        sequence, halves, tanhs, partners, forgets = {}, {}, {}, {}, {}
        for t in self.order:
            half = of_input[:, :, t] + h @ of_hidden
            tanh = torch.tanh(half)
            i, f, g, o = torch.split(tanh, self.hidden, -1)
            i, f, o = (0.5 * gate + 0.5 for gate in (i, f, o))
            before, c = c, f * c + i * g
            squashed = torch.tanh(c)
            h = o * squashed
            sequence[t], forgets[t] = h, f
            halves[t], tanhs[t] = torch.cat([half, c], -1), torch.cat([tanh, squashed], -1)
            # Of tanh, not of the gate: a gate is half a tanh.
            partners[t] = torch.cat([0.5 * g, 0.5 * before, i, 0.5 * squashed, o], -1)
        kept = [self.by_step(steps) for steps in (halves, tanhs, partners, forgets)]
        return [self.in_order(sequence), h, c, *kept]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        of_sequence, of_hidden, of_cell = multipliers
        half, tanh, partner, forget = outputs
        # The sigmoids' arguments are halved in the weights already: per half argument, the quotient is that of tanh.
        steps = {}
        h, c = of_hidden, of_cell
        for t in reversed(self.order):
            factor = at(partner, t).mean() * tanh_quotient(at(half, t), at(tanh, t))
            of_gates, of_squashed = torch.split(factor, [4 * self.hidden, self.hidden], -1)
            h = plus(None if of_sequence is None else of_sequence[..., t, :], h)
            c = plus(None if h is None else h * of_squashed, c)
            assert c is not None
            h = torch.zeros_like(c) if h is None else h.expand_as(c)
            gates = torch.cat([c, c, c, h], -1) * of_gates
            both = gates @ self.weight
            h, steps[t] = torch.split(both, [self.hidden, self.width], -1)
            c = c * at(forget, t).mean()
        assert h is not None
        assert c is not None
        return self.players(self.in_order(steps), [h, c])

    def activate_portable(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The sequence by the LSTM operator; from it all gates at once, and the cells from the gates."""
        if any(self.active):
            return self.activate(inputs)
        size, backward = self.hidden, self.order[0] > self.order[-1]
        scale = torch.full((4, size), 2.0, dtype=self.bias.dtype)
        scale[2] = 1.0
        scale = scale.flatten()
        weight = self.weight * scale[:, None]
        parameters = [weight[:, size:].contiguous(), weight[:, :size].contiguous(), self.bias * scale]
        parameters.append(torch.zeros_like(self.bias))
        x = inputs[0].squeeze(1)
        x = x.flip(1) if backward else x
        h, c = (state.squeeze(1).contiguous() for state in self.states(inputs))
        sequence, _, _ = torch.lstm(
            x, (h.unsqueeze(0), c.unsqueeze(0)), parameters, True, 1, 0.0, False, False, batch_first=True
        )
        before = torch.cat([h.unsqueeze(1), sequence[:, :-1]], 1) if len(self.order) > 1 else h.unsqueeze(1)
        half = torch.cat([before, x], -1) @ self.weight.T + self.bias
        tanh = torch.tanh(half)
        i, f, g, o = torch.split(tanh, size, -1)
        i, f, o = (0.5 * gate + 0.5 for gate in (i, f, o))
        cells = [c.unsqueeze(1)]
        for forget, added in zip(torch.split(f, 1, 1), torch.split(i * g, 1, 1), strict=True):
            cells.append(forget * cells[-1] + added)
        cell, cell_before = torch.cat(cells[1:], 1), torch.cat(cells[:-1], 1)
        squashed = torch.tanh(cell)
        kept = [
            torch.cat([half, cell], -1),
            torch.cat([tanh, squashed], -1),
            torch.cat([0.5 * g, 0.5 * cell_before, i, 0.5 * squashed, o], -1),
            f,
        ]
        last = sequence[:, -1:], cell[:, -1:]
        sequence, *kept = ((value.flip(1) if backward else value).unsqueeze(1) for value in (sequence, *kept))
        return [sequence, *last, *kept]

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """The walk back through time holds only the products that carry multipliers from step to step."""
        if any(self.active):
            return self.propagate(multipliers, inputs, outputs)
        of_sequence, h, c = multipliers
        half, tanh, partner, forget = outputs
        steps = list(reversed(self.order))
        factor = partner.mean() * tanh_quotient(half, tanh)
        of_gates, of_squashed = (
            torch.split(part, 1, -2) for part in torch.split(factor, [4 * self.hidden, self.hidden], -1)
        )
        forgets = torch.split(forget.mean(), 1, -2)
        given = None if of_sequence is None else torch.split(of_sequence, 1, -2)
        h, c = (None if m is None else m.unsqueeze(-2) for m in (h, c))
        of_hidden, gates = self.weight[:, : self.hidden], {}
        for t in steps:
            if given is not None:
                h = given[t] if h is None else h + given[t]
            assert h is not None
            c = h * of_squashed[t] if c is None else h * of_squashed[t] + c
            gates[t] = torch.cat([c, c, c, h.expand_as(c)], -1) * of_gates[t]
            if t != steps[-1]:
                h, c = gates[t] @ of_hidden, c * forgets[t]
        together = torch.cat([gates[t] for t in range(len(steps))], -2)
        return [together @ self.weight[:, self.hidden :]]


@rule_for(OPERATORS.lstm_layer.default)
def _lstm(call: Call, x: Active, hidden: Operand, cell: Operand, *rest: Any) -> Rule:
    *tensors, reverse = rest
    return LSTM(x.shape[1], reverse, [hidden, cell], constant_weights(call, *tensors))
