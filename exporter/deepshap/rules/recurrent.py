"""Whole recurrent layers: the rules of their operators (products, sums, sigmoid, tanh), all gates of a step at once.

What the rules multiply by does not depend on the class. A step of the walk back through time computes it for all gates
and pairs; then come a few products and one matrix product for all classes and pairs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from whyport.exporter.deepshap.rules import quotients
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule
from whyport.exporter.deepshap.rules.walks import first_states, in_front, walk
from whyport.exporter.graphs.layers import OPERATORS


class Recurrent(Rule):
    """One direction of one layer: x [B, 1, T, I] and states [B, 1, H] to the sequence [B, 1, T, H] and last states.

    States that are constant are no players. Subclasses walk over time; the step that comes last is walked back first.
    """

    def __init__(self, length: int, reverse: bool, states: Sequence[Operand]) -> None:
        super().__init__()
        self.reverse = reverse
        self.order = list(reversed(range(length))) if reverse else list(range(length))
        self.active = [isinstance(state, Active) for state in states]
        for i, state in enumerate(states):
            self.register_buffer(f"state_{i}", state.clone() if isinstance(state, Tensor) else None)

    def states(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The first states [B, 1, H], active or constant."""
        waiting, rows = iter(inputs[1:]), inputs[0].shape[0]
        constants = [self._buffers[f"state_{i}"] for i in range(len(self.active))]
        return [next(waiting) if state is None else state.expand(rows, *state.shape) for state in constants]

    def in_order(self, steps: dict[int, Tensor]) -> Tensor:
        """What each step made, stacked along the axis of time."""
        return torch.stack([steps[t] for t in range(len(self.order))], -2)

    def by_step(self, steps: dict[int, Tensor]) -> Tensor:
        """`in_order` with each step in one piece of memory, for what `propagate` reads step by step."""
        return torch.stack([steps[t] for t in range(len(self.order))]).movedim(0, -2)

    def before(self, first: Tensor, sequence: Tensor) -> Tensor:
        """The states [B, T, H] that each step starts with, from the first state [B, H] and those after each step."""
        first = first.unsqueeze(1)
        return torch.cat([sequence[:, 1:], first] if self.reverse else [first, sequence[:, :-1]], 1)

    def players(self, of_input: Tensor, of_states: Sequence[Tensor]) -> list[Tensor]:
        """The multipliers of the active inputs."""
        return [of_input, *(m for m, active in zip(of_states, self.active, strict=True) if active)]


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
        sequence, halves, tanhs, resets, updates, partners = {}, {}, {}, {}, {}, {}
        for t in self.order:
            of_hidden = h @ self.of_hidden.T + self.hidden_bias
            x, u = of_input[:, :, t], of_hidden[..., 2 * self.hidden :]
            half = x[..., : 2 * self.hidden] + of_hidden[..., : 2 * self.hidden]
            gates = torch.tanh(half)
            r, z = torch.split(0.5 * gates + 0.5, self.hidden, -1)
            inner = x[..., 2 * self.hidden :] + r * u
            n = torch.tanh(inner)
            halves[t], tanhs[t] = torch.cat([half, inner], -1), torch.cat([gates, n], -1)
            resets[t], updates[t], partners[t] = r, z, torch.cat([0.5 * u, 0.5 * (h - n)], -1)
            h = n + z * (h - n)
            sequence[t] = h
        kept = [self.by_step(steps) for steps in (halves, tanhs, resets, updates, partners)]
        return [self.in_order(sequence), h, *kept]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        of_sequence, h = multipliers
        half, tanh, reset, update, partner = outputs
        steps = {}
        for t in reversed(self.order):
            h = plus(None if of_sequence is None else of_sequence[..., t, :], h)
            assert h is not None
            of_reset, of_update, of_inner = torch.split(tanh_quotient(at(half, t), at(tanh, t)), self.hidden, -1)
            of_u, of_difference = torch.split(at(partner, t).mean(), self.hidden, -1)
            z = at(update, t).mean()
            n = h * (1 - z) * of_inner
            gates = torch.cat([n * of_u * of_reset, h * of_difference * of_update], -1)
            steps[t] = torch.cat([gates, n], -1) @ self.of_input
            h = h * z + torch.cat([gates, n * at(reset, t).mean()], -1) @ self.of_hidden
        assert h is not None
        return self.players(self.in_order(steps), [h])

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


class RNN(Recurrent):
    """Elman 1990: h' = tanh(W x + U h + b), or with ReLU."""

    outputs = 2
    reads_outputs = (2, 3)
    of_input: Tensor
    of_hidden: Tensor
    bias: Tensor

    def __init__(
        self,
        length: int,
        reverse: bool,
        states: Sequence[Operand],
        weights: tuple[Tensor, Tensor, Tensor],
        relu: bool,
    ) -> None:
        super().__init__(length, reverse, states)
        self.relu = relu
        for name, tensor in zip(("of_input", "of_hidden", "bias"), weights, strict=True):
            self.register_buffer(name, tensor.clone())

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (h,) = self.states(inputs)
        of_input = inputs[0] @ self.of_input.T + self.bias
        arguments, values = {}, {}
        for t in self.order:
            arguments[t] = of_input[:, :, t] + h @ self.of_hidden.T
            h = torch.relu(arguments[t]) if self.relu else torch.tanh(arguments[t])
            values[t] = h
        sequence = self.in_order(values)
        return [sequence, h, self.in_order(arguments), sequence]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        of_sequence, h = multipliers
        argument, value = outputs
        factors = quotients.relu(*argument) if self.relu else tanh_quotient(argument, value)
        steps = {}
        for t in reversed(self.order):
            h = plus(None if of_sequence is None else of_sequence[..., t, :], h)
            assert h is not None
            inner = h * factors[..., t, :]
            steps[t], h = inner @ self.of_input, inner @ self.of_hidden
        assert h is not None
        return self.players(self.in_order(steps), [h])

    def activate_portable(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The sequence by one operator; from it all arguments at once."""
        (h,) = (state.squeeze(1) for state in self.states(inputs))
        x = inputs[0].squeeze(1)
        sequence, last = OPERATORS.rnn_layer(x, h, self.of_input, self.of_hidden, self.bias, self.reverse, self.relu)
        arguments = x @ self.of_input.T + self.bias + self.before(h, sequence) @ self.of_hidden.T
        # As the quotients want it: of the very arguments.
        values = torch.relu(arguments) if self.relu else torch.tanh(arguments)
        return [value.unsqueeze(1) for value in (sequence, last, arguments, values)]

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """The walk back through time holds only the products that carry multipliers from step to step."""
        argument, value = (in_front(pair) for pair in outputs)
        factors = quotients.relu(*argument) if self.relu else tanh_quotient(argument, value)
        states, given = first_states(multipliers[0], multipliers[1:], argument, self.of_hidden.shape[1])
        weight = self.of_hidden

        def step(states: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            (h,), (factor, *of_step) = states, given
            inner = (h + of_step[0] if of_step else h) * factor
            return (inner @ weight,), inner

        of_states, inner = walk(step, states, [factors, *given], backwards=not self.reverse)
        return self.players((inner @ self.of_input).movedim(0, -2), of_states)


def recurrent_steps(rules: Iterable[nn.Module]) -> int:
    """Steps of all recurrent layers together: a portable graph has a few nodes for each of them."""
    return sum(len(rule.order) for rule in rules if isinstance(rule, Recurrent))


def tanh_quotient(argument: Pair, value: Pair) -> Tensor:
    """`quotients.tanh` where the tanh of both arguments is known."""
    return quotients.slope_of_tanh(argument.difference()) * (1 - value.row * value.reference)


def at(pair: Pair, step: int) -> Pair:
    """A pair of sequences at one step: its values on the grid fit the cache, unlike the values of all steps."""
    return Pair(pair.row[..., step, :], pair.reference[..., step, :])


def plus(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    """The sum of two multipliers, either of which may be missing."""
    if left is None or right is None:
        return right if left is None else left
    return left + right


def constant_weights(call: Call, *tensors: Any) -> Any:
    """The weights of a layer, which must be constant."""
    return tuple(constant(call, tensor) for tensor in tensors)


@rule_for(OPERATORS.gru_layer.default)
def _gru(call: Call, x: Active, hidden: Operand, *rest: Any) -> Rule:
    *tensors, reverse = rest
    return GRU(x.shape[1], reverse, [hidden], constant_weights(call, *tensors))


@rule_for(OPERATORS.rnn_layer.default)
def _rnn(call: Call, x: Active, hidden: Operand, *rest: Any) -> Rule:
    *tensors, reverse, relu = rest
    return RNN(x.shape[1], reverse, [hidden], constant_weights(call, *tensors), relu)
