"""Whole recurrent layers: the rules of their operators (products, sums, sigmoid, tanh), all gates of a step at once.

What the rules multiply by does not depend on the class. A step of the walk back through time computes it for all gates
and pairs; then come a few products and one matrix product for all classes and pairs.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from whyport.exporter.deepshap.rules import quotients
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant
from whyport.exporter.deepshap.rules.rule import Pair, Rule


class Recurrent(Rule):
    """One direction of one layer: x [B, 1, T, I] and states [B, 1, H] to the sequence [B, 1, T, H] and last states.

    States that are constant are no players. Subclasses walk over time; the step that comes last is walked back first.
    """

    def __init__(self, length: int, reverse: bool, states: Sequence[Operand]) -> None:
        super().__init__()
        self.reverse = reverse
        self.order = list(reversed(range(length))) if reverse else list(range(length))
        self.active = [isinstance(state, Active) for state in states]
        self.zero = [isinstance(state, Tensor) and not state.any() for state in states]
        for i, state in enumerate(states):
            self.register_buffer(f"state_{i}", state.clone() if isinstance(state, Tensor) else None)

    def states(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The first states [B, 1, H], active or constant."""
        waiting, rows = iter(inputs[1:]), inputs[0].shape[0]
        constants = [self._buffers[f"state_{i}"] for i in range(len(self.active))]
        return [next(waiting) if state is None else state.expand(rows, *state.shape) for state in constants]

    def given(self, multipliers: Sequence[Tensor | None], hidden: int) -> list[Tensor]:
        """The multipliers of the sequence and of the last states; zeros where nothing depends on one."""
        some = next(m for m in multipliers if m is not None)
        sizes = [(len(self.order), hidden), *[(hidden,)] * len(self.active)]
        return [
            some.new_zeros(1, 1, 1, 1, *size) if m is None else m for m, size in zip(multipliers, sizes, strict=True)
        ]

    def portable_states(self, inputs: Sequence[Tensor]) -> list[Tensor | None]:
        """The first states [B, H]; None where one is always 0."""
        states = self.states(inputs)
        return [None if zero else state.squeeze(1) for zero, state in zip(self.zero, states, strict=True)]

    def before(self, first: Tensor | None, sequence: Tensor) -> Tensor:
        """The states [B, T, H] that each step starts with, from the first state [B, H] and those after each step."""
        if first is None:
            return functional.pad(sequence, (0, 0, -1, 1) if self.reverse else (0, 0, 1, -1))
        first = first.unsqueeze(1)
        return torch.cat([sequence[:, 1:], first] if self.reverse else [first, sequence[:, :-1]], 1)

    def players(self, of_input: Tensor, of_states: Sequence[Tensor]) -> list[Tensor]:
        """The multipliers of the active inputs."""
        return [of_input, *(m for m, active in zip(of_states, self.active, strict=True) if active)]


def changes(packed: Pair, arguments: int, *others: int) -> tuple[Tensor, ...]:
    """The quotients of tanh, and the means of other values, of what a portable form keeps of each step.

    Args:
        packed: sequences, with time in front, of arguments, their tanhs, and halves of the other values, side by side.
        arguments: the number of the arguments.
        others: the numbers of the other values.
    """
    # Split before they meet: what is as large as all pairs is not copied.
    sides = (torch.split(value, [arguments, arguments, *others], -1) for value in packed)
    half, tanh, *rest = (Pair(*both) for both in zip(*sides, strict=True))
    return tanh_quotient(half, tanh), *(pair.row + pair.reference for pair in rest)


def tanh_quotient(argument: Pair, value: Pair) -> Tensor:
    """`quotients.tanh` where the tanh of both arguments is known."""
    return quotients.slope_of_tanh(argument.difference()) * (1 - value.row * value.reference)


def constant_weights(call: Call, *tensors: Any) -> Any:
    """The weights of a layer, which must be constant."""
    return tuple(constant(call, tensor) for tensor in tensors)


def sides(pairs: Sequence[Pair]) -> tuple[list[Tensor], list[Tensor]]:
    """The values in rows, and those in references."""
    return [pair.row for pair in pairs], [pair.reference for pair in pairs]
