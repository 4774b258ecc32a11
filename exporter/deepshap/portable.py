"""The program as ONNX wants it: few, large operators instead of many that fit a cache.

PyTorch runs a recurrent layer's rule step by step on as few values as possible. A portable graph pays for every node
instead, in size and in each runtime's overhead: what does not have to wait for the step before is computed for all
steps at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.program import Program
from whyport.exporter.deepshap.rules.quotients import decay
from whyport.exporter.deepshap.rules.recurrent import LSTM, Recurrent, tanh_quotient
from whyport.exporter.deepshap.rules.rule import Pair, Rule, only
from whyport.exporter.deepshap.rules.softmax import Softmax

# Up to this size a softmax's pairs of values are one tensor.
PAIRED_SIZE = 16


def recurrent_steps(program: Program) -> int:
    """Steps of all recurrent layers together, each of which stands in the graph by itself."""
    return sum(len(step.rule.order) for step in program.steps if isinstance(step.rule, Recurrent))


def activate(rule: Rule, inputs: Sequence[Tensor]) -> list[Tensor]:
    """As the rule's own."""
    if isinstance(rule, LSTM) and not any(rule.active):
        return _activate_lstm(rule, inputs)
    return rule.activate(inputs)


def propagate(
    rule: Rule, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
) -> list[Tensor]:
    """As the rule's own."""
    if isinstance(rule, LSTM) and not any(rule.active):
        return _propagate_lstm(rule, multipliers, outputs)
    if isinstance(rule, Softmax) and rule.axis == -1 and rule.size <= PAIRED_SIZE:
        return _propagate_softmax(multipliers, inputs, outputs)
    return rule.propagate(multipliers, inputs, outputs)


def _activate_lstm(rule: LSTM, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The sequence by the LSTM operator; from it all gates at once, and the cells from the gates."""
    size, backward = rule.hidden, rule.order[0] > rule.order[-1]
    scale = torch.full((4, size), 2.0, dtype=rule.bias.dtype)
    scale[2] = 1.0
    scale = scale.flatten()
    weight = rule.weight * scale[:, None]
    parameters = [weight[:, size:].contiguous(), weight[:, :size].contiguous(), rule.bias * scale]
    parameters.append(torch.zeros_like(rule.bias))
    x = inputs[0].squeeze(1)
    x = x.flip(1) if backward else x
    h, c = (state.squeeze(1).contiguous() for state in rule.states(inputs))
    sequence, _, _ = torch.lstm(
        x, (h.unsqueeze(0), c.unsqueeze(0)), parameters, True, 1, 0.0, False, False, batch_first=True
    )
    before = torch.cat([h.unsqueeze(1), sequence[:, :-1]], 1) if len(rule.order) > 1 else h.unsqueeze(1)
    half = torch.cat([before, x], -1) @ rule.weight.T + rule.bias
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


def _propagate_lstm(rule: LSTM, multipliers: Sequence[Tensor | None], outputs: Sequence[Pair]) -> list[Tensor]:
    """Only the products that carry multipliers from step to step are in the walk back through time."""
    of_sequence, h, c = multipliers
    half, tanh, partner, forget = outputs
    steps = list(reversed(rule.order))
    factor = partner.mean() * tanh_quotient(half, tanh)
    of_gates, of_squashed = (
        torch.split(part, 1, -2) for part in torch.split(factor, [4 * rule.hidden, rule.hidden], -1)
    )
    forgets = torch.split(forget.mean(), 1, -2)
    given = None if of_sequence is None else torch.split(of_sequence, 1, -2)
    h, c = (None if m is None else m.unsqueeze(-2) for m in (h, c))
    of_hidden, gates = rule.weight[:, : rule.hidden], {}
    for t in steps:
        if given is not None:
            h = given[t] if h is None else h + given[t]
        assert h is not None
        c = h * of_squashed[t] if c is None else h * of_squashed[t] + c
        gates[t] = torch.cat([c, c, c, h.expand_as(c)], -1) * of_gates[t]
        if t != steps[-1]:
            h, c = gates[t] @ of_hidden, c * forgets[t]
    together = torch.cat([gates[t] for t in range(len(steps))], -2)
    return [together @ rule.weight[:, rule.hidden :]]


def _propagate_softmax(
    multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
) -> list[Tensor]:
    """All pairs of values at once."""
    m = only(multipliers)
    p, q = outputs[0]
    change = torch.nan_to_num(inputs[0].difference(), nan=0.0)
    apart = change.unsqueeze(-1) - change.unsqueeze(-2)
    products = p.unsqueeze(-1) * q.unsqueeze(-2)
    mean = torch.maximum(products, products.transpose(-1, -2)) * decay(apart)
    return [(mean * (m.unsqueeze(-1) - m.unsqueeze(-2))).sum(-1)]
