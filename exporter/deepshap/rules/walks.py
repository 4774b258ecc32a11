"""Walks over time that are one operator of a portable graph, however many steps they have."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._higher_order_ops import scan

from whyport.exporter.deepshap.rules.rule import GRID, Pair

Step = Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], tuple[tuple[Tensor, ...], Tensor]]
"""States and what a step is given, to the next states and what the step gives; it gives no state itself, but a copy."""


def walk(
    step: Step, states: Sequence[Tensor], given: Sequence[Tensor], *, backwards: bool
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The last states, and what every step gives, with time in front.

    Args:
        step: one step; ONNX's operator Scan has it once.
        states: the first states, of the shapes of the last ones.
        given: what the steps are given, with time in front.
        backwards: whether the last step comes first.
    """
    if torch.compiler.is_exporting():
        # A state must keep its strides, those of axes of size 1 among them, or it is taken for another.
        carried, steps = (
            tuple(value.clone(memory_format=torch.contiguous_format) for value in values) for values in (states, given)
        )
        made: tuple[tuple[Tensor, ...], Tensor] = scan(step, carried, steps, reverse=backwards)
        return made
    state, outputs = tuple(states), {}
    times = range(len(given[0]))
    for t in reversed(times) if backwards else times:
        state, outputs[t] = step(state, tuple(values[t] for values in given))
    return state, torch.stack([outputs[t] for t in times])


def in_front(pair: Pair) -> Pair:
    """A pair of sequences with time in front, [T, N, R, 1, K], before what is as large as all pairs is made of it."""
    return Pair(pair.row.movedim(-2, 0), pair.reference.movedim(-2, 0))


def first_states(
    of_sequence: Tensor | None, of_states: Sequence[Tensor | None], sequence: Pair, hidden: int
) -> tuple[list[Tensor], list[Tensor]]:
    """The multipliers that a walk back starts with, and those that it is given at each step, if any.

    Args:
        of_sequence: multipliers [M, N, R, 1, T, H] of the sequence.
        of_states: multipliers [M, N, R, 1, H] of the last states.
        sequence: any of the layer's sequences, with time in front.
        hidden: H.

    Returns:
        States of the size that they keep, and nothing or [T, M, N, R, 1, H].
    """
    present = [m for m in (of_sequence, *of_states) if m is not None]
    fronts = [m.shape[:GRID] for m in present]
    pairs = [(1, *value.shape[1:3]) for value in sequence]
    front = torch.broadcast_shapes(*fronts, *pairs)  # type: ignore[no-untyped-call]
    size = (*front, 1, hidden)
    zeros = sequence.row.new_zeros(())
    states = [(zeros if m is None else m).expand(size) for m in of_states]
    return states, [] if of_sequence is None else [of_sequence.movedim(-2, 0)]
