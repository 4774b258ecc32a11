"""The rule of a whole plain recurrent layer in one direction."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules import loops, quotients
from whyport.exporter.deepshap.rules.recurrent import Recurrent, constant_weights, tanh_quotient
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule
from whyport.exporter.deepshap.rules.walks import first_states, in_front, walk
from whyport.exporter.graphs.layers import OPERATORS


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
        return loops.rnn_forward(of_input, h, self.of_hidden.T, self.relu, self.reverse)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        argument, value = outputs
        factors = quotients.relu(*argument) if self.relu else tanh_quotient(argument, value)
        given, weights = self.given(multipliers, self.of_hidden.shape[1]), [self.of_input, self.of_hidden]
        of_input, *of_states = loops.rnn_backward(given, factors, weights, self.reverse)
        return self.players(of_input, of_states)

    def activate_portable(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The sequence by one operator; from it all arguments at once."""
        (h,) = self.portable_states(inputs)
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


@rule_for(OPERATORS.rnn_layer.default)
def _rnn(call: Call, x: Active, hidden: Operand, *rest: Any) -> Rule:
    *tensors, reverse, relu = rest
    return RNN(x.shape[1], reverse, [hidden], constant_weights(call, *tensors), relu)
