"""The tensor program that computes DeepSHAP's attributions.

Lundberg & Lee 2017, arXiv:1705.07874, section 4.2: multipliers are propagated from the logits to the input for every
pair of a row and a reference, and the attribution is the mean over references of multiplier x (row - reference).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from exporter.deepshap.rules.rule import Pair, Rule


@dataclass(frozen=True)
class Value:
    """An output of a step; step 0 is the input, and the others are counted from 1."""

    step: int
    output: int


@dataclass(frozen=True)
class Step:
    """A rule and the values that it takes."""

    rule: Rule
    inputs: tuple[Value, ...]


class Program(nn.Module):
    """Attributions in two parts: what is computed once for a row or a reference, and what is for every pair.

    Args:
        steps: in an order in which every value is made before it is taken.
        logits: the value [1, C] that is explained.
        classes: C.
    """

    identity: Tensor

    def __init__(self, steps: Sequence[Step], logits: Value, classes: int) -> None:
        super().__init__()
        self.rules = nn.ModuleList(step.rule for step in steps)
        self.steps = steps
        self.logits = logits
        self.register_buffer("identity", torch.eye(classes).reshape(classes, 1, 1, 1, classes))
        self.kept = self._read_values()

    def activations(self, rows: Tensor) -> list[Tensor]:
        """The logits [N, C], the rows and every value that a rule reads, of rows [N, F]; all with N in front."""
        values = {Value(0, 0): rows.unsqueeze(1)}
        for index, step in enumerate(self.steps, start=1):
            outputs = step.rule.activate([values[value] for value in step.inputs])
            values.update({Value(index, i): output for i, output in enumerate(outputs)})
        return [values[self.logits].squeeze(1), rows, *(values[value] for value in self.kept)]

    def attribute(self, of_rows: list[Tensor], of_references: list[Tensor], weights: Tensor) -> Tensor:
        """The attributions [N, C, F] of every logit.

        Args:
            of_rows: `activations` of N rows.
            of_references: `activations` of R references.
            weights: of the references, [R], with the sum 1.
        """
        pairs = {
            value: Pair(row.unsqueeze(1), reference.unsqueeze(0))
            for value, row, reference in zip(self.kept, of_rows[2:], of_references[2:], strict=True)
        }
        multipliers: dict[Value, Tensor] = {self.logits: self.identity}
        for index, step in reversed(list(enumerate(self.steps, start=1))):
            given = [multipliers.pop(Value(index, i), None) for i in range(step.rule.outputs)]
            if all(m is None for m in given):
                continue
            rule = step.rule
            inputs = [pairs[value] for value in step.inputs] if rule.reads_inputs else []
            outputs = [pairs[Value(index, i)] for i in rule.reads_outputs]
            for value, m in zip(step.inputs, rule.propagate(given, inputs, outputs), strict=True):
                multipliers[value] = multipliers[value] + m if value in multipliers else m
        of_input = multipliers[Value(0, 0)].squeeze(3)
        change = of_rows[1].unsqueeze(1) - of_references[1].unsqueeze(0)
        return (of_input * change * weights.reshape(-1, 1)).sum(2).transpose(0, 1)

    def _read_values(self) -> list[Value]:
        read: dict[Value, None] = {}
        for index, step in enumerate(self.steps, start=1):
            read.update(dict.fromkeys(step.inputs if step.rule.reads_inputs else ()))
            read.update(dict.fromkeys(Value(index, i) for i in step.rule.reads_outputs))
        return list(read)
