"""The loops over the steps of recurrent layers; in a trace they are loops too, and not as many copies of a step.

Each step is computed for all gates, and on the grid of all pairs, by itself: its values fit a cache, unlike those of
all steps. Pairs are two lists, of the values in rows and in references, as rules read them.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.quotients import slope_of_tanh

Loop = TypeVar("Loop", bound=Callable[..., list[Tensor]])


def _loop(function: Loop) -> Loop:
    """The function, which TorchScript's tracer compiles as it is."""
    made: Loop = torch.jit.script_if_tracing(function)  # type: ignore[no-untyped-call]
    return made


@_loop
def lstm_forward(of_input: Tensor, h: Tensor, c: Tensor, of_hidden: Tensor, reverse: bool) -> list[Tensor]:
    """The sequence [B, 1, T, H], the last states [B, 1, H], and what is kept of each step, [B, 1, T, K].

    Args:
        of_input: the halved arguments of the gates, as far as the input decides, [B, 1, T, 4H].
        h: the first hidden state, [B, 1, H].
        c: the first cell.
        of_hidden: the transposed weights of the hidden state, [H, 4H].
        reverse: whether the last step comes first.
    """
    size, length = h.shape[-1], of_input.shape[2]
    sequence: list[Tensor] = []
    halves: list[Tensor] = []
    tanhs: list[Tensor] = []
    partners: list[Tensor] = []
    forgets: list[Tensor] = []
    for i in range(length):
        t = length - 1 - i if reverse else i
        half = of_input[:, :, t] + h @ of_hidden
        tanh = torch.tanh(half)
        opened = 0.5 * tanh + 0.5
        enter, forget = opened[..., :size], opened[..., size : 2 * size]
        g, leave = tanh[..., 2 * size : 3 * size], opened[..., 3 * size :]
        before, c = c, forget * c + enter * g
        squashed = torch.tanh(c)
        h = leave * squashed
        sequence.append(h)
        forgets.append(forget)
        halves.append(torch.cat([half, c], -1))
        tanhs.append(torch.cat([tanh, squashed], -1))
        # Of tanh, not of the gate: a gate is half a tanh.
        partners.append(torch.cat([0.5 * g, 0.5 * before, enter, 0.5 * squashed, leave], -1))
    kept = [by_step(steps, reverse) for steps in [halves, tanhs, partners, forgets]]
    made = [in_order(sequence, reverse), h, c]
    made.extend(kept)
    return made


@_loop
def lstm_backward(
    given: list[Tensor], rows: list[Tensor], references: list[Tensor], weight: Tensor, reverse: bool
) -> list[Tensor]:
    """The multipliers of the input [M, N, R, 1, T, I] and of the first states [M, N, R, 1, H].

    Args:
        given: the multipliers of the sequence and of the last states.
        rows: arguments, tanhs, partners and forget gates in rows.
        references: the same in references.
        weight: of the hidden state and the input, [4H, H + I].
        reverse: whether the last step came first.
    """
    of_sequence, h, c = given[0], given[1], given[2]
    size, length = h.shape[-1], rows[0].shape[-2]
    steps: list[Tensor] = []
    for i in range(length):
        t = i if reverse else length - 1 - i
        # The sigmoids' arguments are halved in the weights already: per half argument, the quotient is that of tanh.
        factor = mean_at(rows[2], references[2], t) * tanh_quotient_at(rows, references, t)
        h = of_sequence[..., t, :] + h
        c = h * factor[..., 4 * size :] + c
        gates = torch.cat([c, c, c, h.expand_as(c)], -1) * factor[..., : 4 * size]
        both = gates @ weight
        h = both[..., :size]
        steps.append(both[..., size:])
        c = c * mean_at(rows[3], references[3], t)
    return [in_order(steps, not reverse), h, c]


@_loop
def gru_forward(of_input: Tensor, h: Tensor, of_hidden: Tensor, bias: Tensor, reverse: bool) -> list[Tensor]:
    """As `lstm_forward`, with one state, and with a bias [3H] beside the product with the hidden state."""
    size, length = h.shape[-1], of_input.shape[2]
    sequence: list[Tensor] = []
    halves: list[Tensor] = []
    tanhs: list[Tensor] = []
    resets: list[Tensor] = []
    updates: list[Tensor] = []
    partners: list[Tensor] = []
    for i in range(length):
        t = length - 1 - i if reverse else i
        x, hidden = of_input[:, :, t], h @ of_hidden + bias
        u = hidden[..., 2 * size :]
        half = x[..., : 2 * size] + hidden[..., : 2 * size]
        gates = torch.tanh(half)
        opened = 0.5 * gates + 0.5
        r, z = opened[..., :size], opened[..., size:]
        inner = x[..., 2 * size :] + r * u
        n = torch.tanh(inner)
        halves.append(torch.cat([half, inner], -1))
        tanhs.append(torch.cat([gates, n], -1))
        resets.append(r)
        updates.append(z)
        partners.append(torch.cat([0.5 * u, 0.5 * (h - n)], -1))
        h = n + z * (h - n)
        sequence.append(h)
    kept = [by_step(steps, reverse) for steps in [halves, tanhs, resets, updates, partners]]
    made = [in_order(sequence, reverse), h]
    made.extend(kept)
    return made


@_loop
def gru_backward(
    given: list[Tensor], rows: list[Tensor], references: list[Tensor], weights: list[Tensor], reverse: bool
) -> list[Tensor]:
    """As `lstm_backward`, from arguments, tanhs, resets, updates and partners, with weights [3H, I] and [3H, H]."""
    of_sequence, h = given[0], given[1]
    size, length = h.shape[-1], rows[0].shape[-2]
    steps: list[Tensor] = []
    for i in range(length):
        t = i if reverse else length - 1 - i
        h = of_sequence[..., t, :] + h
        quotient = tanh_quotient_at(rows, references, t)
        partner = mean_at(rows[4], references[4], t)
        z = mean_at(rows[3], references[3], t)
        n = h * (1 - z) * quotient[..., 2 * size :]
        of_reset = n * partner[..., :size] * quotient[..., :size]
        of_update = h * partner[..., size:] * quotient[..., size : 2 * size]
        steps.append(torch.cat([of_reset, of_update, n], -1) @ weights[0])
        reset = mean_at(rows[2], references[2], t)
        h = h * z + torch.cat([of_reset, of_update, n * reset], -1) @ weights[1]
    return [in_order(steps, not reverse), h]


@_loop
def rnn_forward(of_input: Tensor, h: Tensor, of_hidden: Tensor, relu: bool, reverse: bool) -> list[Tensor]:
    """As `lstm_forward`, with one state and no gates; the arguments and the values are kept."""
    length = of_input.shape[2]
    arguments: list[Tensor] = []
    values: list[Tensor] = []
    for i in range(length):
        argument = of_input[:, :, length - 1 - i if reverse else i] + h @ of_hidden
        h = torch.relu(argument) if relu else torch.tanh(argument)
        arguments.append(argument)
        values.append(h)
    sequence = in_order(values, reverse)
    return [sequence, h, in_order(arguments, reverse), sequence]


@_loop
def rnn_backward(given: list[Tensor], factors: Tensor, weights: list[Tensor], reverse: bool) -> list[Tensor]:
    """As `gru_backward`, from the quotients of all steps [N, R, 1, T, H]."""
    of_sequence, h = given[0], given[1]
    length = factors.shape[-2]
    steps: list[Tensor] = []
    for i in range(length):
        t = i if reverse else length - 1 - i
        inner = (of_sequence[..., t, :] + h) * factors[..., t, :]
        steps.append(inner @ weights[0])
        h = inner @ weights[1]
    return [in_order(steps, not reverse), h]


def in_order(steps: list[Tensor], reverse: bool) -> Tensor:
    """What each step made, stacked along the axis of time."""
    if reverse:
        steps.reverse()
    return torch.stack(steps, -2)


def by_step(steps: list[Tensor], reverse: bool) -> Tensor:
    """`in_order` with each step in one piece of memory, for what is read step by step."""
    if reverse:
        steps.reverse()
    return torch.stack(steps).movedim(0, -2)


def mean_at(row: Tensor, reference: Tensor, t: int) -> Tensor:
    """The mean of a pair of sequences at one step."""
    return (row[..., t, :] + reference[..., t, :]) * 0.5


def tanh_quotient_at(rows: list[Tensor], references: list[Tensor], t: int) -> Tensor:
    """The quotient of tanh at one step, of arguments and their tanhs."""
    change = rows[0][..., t, :] - references[0][..., t, :]
    return slope_of_tanh(change) * (1 - rows[1][..., t, :] * references[1][..., t, :])
