"""The tensor program that computes DeepSHAP's attributions.

Lundberg & Lee 2017, arXiv:1705.07874, section 4.2: multipliers are propagated from the logits to the input for every
pair of a row and a reference, and the attribution is the mean over references of multiplier x (row - reference).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from whyport.exporter.deepshap.rules.rule import Pair, Rule, settled
from whyport.exporter.graphs.categories import EncodeCategories


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


@dataclass(frozen=True)
class Part:
    """Neighbouring steps on the way from the logits back to the input: one that has a kernel, or all between two such.

    Multipliers go from part to part as a list; a value that occurs twice has the sum as its multiplier.
    """

    steps: tuple[int, ...]
    """Numbers of the steps, in the order in which they are walked."""
    given: tuple[Value, ...]
    """The values of the multipliers before the part."""
    left: tuple[Value, ...]
    """The values of the multipliers after the part."""


class Program(nn.Module):
    """Attributions in two parts: what is computed once for a row or a reference, and what is for every pair.

    Args:
        steps: in an order in which every value is made before it is taken.
        logits: the value [1, C] that is explained.
        classes: C.
        lengths: the cells that hold lengths of sequences. All rows and references of a call must have the same: where
            they have not, logits and attributions are NaN.
    """

    identity: Tensor
    lengths: Tensor
    owners: Tensor | None
    """The column of each cell as a one, [P, F]; None where every cell is a column."""

    def __init__(self, steps: Sequence[Step], logits: Value, classes: int, lengths: Sequence[int] = ()) -> None:
        super().__init__()
        self.encode: nn.Module = nn.Identity()
        self.register_buffer("owners", None)
        self.rules = nn.ModuleList(step.rule for step in steps)
        self.steps = steps
        self.logits = logits
        self.register_buffer("identity", torch.eye(classes).reshape(classes, 1, 1, 1, classes))
        self.register_buffer("lengths", torch.tensor(lengths, dtype=torch.int64))
        self.kept, self.kept_portable = self._read_values(portable=False), self._read_values(portable=True)
        self.parts = self._cut()

    def encoded_by(self, encoding: EncodeCategories) -> Self:
        """The same program of rows [N, F] whose cells an encoding gives: a column has the sum of its cells' shares."""
        self.encode = copy.deepcopy(encoding)
        owners = [column for column, cells in enumerate(encoding.cells) for _ in cells]
        self.owners = functional.one_hot(torch.tensor(owners), len(encoding.cells)).to(torch.float32)
        return self.to(self.identity.dtype)

    def activations(self, rows: Tensor, portable: bool = False) -> list[Tensor]:
        """The logits [N, C], the cells [N, P] and every value that a rule reads, all with N in front.

        Args:
            rows: finite rows [N, F].
            portable: whether rules compute as portable graphs do.
        """
        cells = self.encode(rows)
        values = self.values(cells, portable)
        logits = self.of_one_length(values[self.logits].squeeze(1), cells)
        return [logits, cells, *(values[value] for value in self._kept(portable))]

    def of_one_length(self, result: Tensor, *cells: Tensor) -> Tensor:
        """A result of cells [B, P]; NaN where they have not all the same lengths."""
        if not len(self.lengths):
            return result
        of_first, *others = (each.index_select(1, self.lengths) for each in cells)
        same = [(of_some == of_first[:1]).all() for of_some in (of_first, *others)]
        return torch.where(torch.stack(same).all(), result, torch.nan)

    def values(self, cells: Tensor, portable: bool = False) -> dict[Value, Tensor]:
        """Every value [N, *shape] of cells [N, P], see `activations`."""
        values = {Value(0, 0): cells.unsqueeze(1)}
        for index, step in enumerate(self.steps, start=1):
            activate = step.rule.activate_portable if portable else step.rule.activate
            outputs = activate([values[value] for value in step.inputs])
            values.update({Value(index, i): output for i, output in enumerate(outputs)})
        return values

    def attribute(self, of_rows: list[Tensor], of_references: list[Tensor], weights: Tensor) -> Tensor:
        """The attributions [N, C, F] of every logit.

        Args:
            of_rows: `activations` of N rows.
            of_references: `activations` of R references.
            weights: of the references, [R], with the sum 1.
        """
        multipliers = self.begin()
        for part in self.parts:
            multipliers = self.propagate(part, multipliers, of_rows, of_references)
        return self.finish(multipliers, of_rows, of_references, weights)

    def begin(self) -> list[Tensor]:
        """The multipliers before the first part: every logit is its own."""
        return [self.identity]

    def propagate(
        self, part: Part, multipliers: list[Tensor], of_rows: list[Tensor], of_references: list[Tensor]
    ) -> list[Tensor]:
        """The multipliers of `part.left` from the multipliers of `part.given`."""
        live = list(zip(part.given, multipliers, strict=True))
        return self.walk(part.steps, live, lambda value: self._pair(value, of_rows, of_references))

    def multipliers(self, of_logits: Tensor, pair: Callable[[int], Pair], portable: bool = False) -> Tensor:
        """The multipliers [M, N, R, P] of the cells.

        Args:
            of_logits: M multipliers of the logits, [M, N or 1, R or 1, 1, C].
            pair: the value at a position of `activations`, in rows and references.
            portable: whether rules compute as portable graphs do.
        """
        steps = [index for part in self.parts for index in part.steps]
        live = [(self.logits, of_logits)]
        of_input = self.walk(steps, live, lambda value: pair(2 + self._kept(portable).index(value)), portable)
        return sum(of_input[1:], of_input[0]).squeeze(3)

    def shares(self, of_logits: Tensor, of_rows: list[Tensor], of_references: list[Tensor]) -> Tensor:
        """What each pair adds to the attributions, [M, N, R, F], from multipliers of the logits as in `multipliers`."""

        def pair(position: int) -> Pair:
            return Pair(of_rows[position].unsqueeze(1), of_references[position].unsqueeze(0))

        shares = settled(self.multipliers(of_logits, pair), pair(1)) * pair(1).difference()
        return self.of_columns(self.of_one_length(shares, of_rows[1], of_references[1]))

    def walk(
        self,
        steps: Sequence[int],
        live: list[tuple[Value, Tensor]],
        pair: Callable[[Value], Pair],
        portable: bool = False,
    ) -> list[Tensor]:
        """The multipliers after these steps, from the `live` ones before them, each with its value."""
        for index in steps:
            step = self.steps[index - 1]
            given = [_total(live, Value(index, i)) for i in range(step.rule.outputs)]
            live = [(value, m) for value, m in live if value.step != index]
            inputs, outputs = ([pair(value) for value in values] for values in self._reads(index, portable))
            propagate = step.rule.propagate_portable if portable else step.rule.propagate
            of_inputs = zip(step.inputs, propagate(given, inputs, outputs), strict=True)
            live += [(value, m) for value, m in of_inputs if self._is_player(value)]
        return [m for _, m in live]

    def finish(
        self, multipliers: list[Tensor], of_rows: list[Tensor], of_references: list[Tensor], weights: Tensor
    ) -> Tensor:
        """The attributions from the multipliers after the last part."""
        of_input = sum(multipliers[1:], multipliers[0]).squeeze(3)
        row = Pair(of_rows[1].unsqueeze(1), of_references[1].unsqueeze(0))
        shares = (settled(of_input, row) * row.difference() * weights.reshape(-1, 1)).sum(2)
        return self.of_columns(self.of_one_length(shares, of_rows[1], of_references[1])).transpose(0, 1)

    def of_columns(self, shares: Tensor) -> Tensor:
        """The shares [..., F] of the columns from those of their cells, [..., P]."""
        return shares if self.owners is None else shares @ self.owners

    def positions(self, index: int) -> list[int]:
        """Positions in `activations` of the values that a step's rule reads: inputs, then outputs."""
        return [2 + self.kept.index(value) for values in self._reads(index) for value in values]

    def _kept(self, portable: bool) -> list[Value]:
        return self.kept_portable if portable else self.kept

    def _reads(self, index: int, portable: bool = False) -> tuple[list[Value], list[Value]]:
        step = self.steps[index - 1]
        rule = step.rule
        inputs = list(step.inputs) if rule.reads_inputs else []
        outputs = rule.reads_outputs if not portable or rule.reads_portable is None else rule.reads_portable
        return inputs, [Value(index, i) for i in outputs]

    def _read_values(self, portable: bool) -> list[Value]:
        reads = (self._reads(index, portable) for index in range(1, len(self.steps) + 1))
        return list(dict.fromkeys(value for both in reads for values in both for value in values))

    def _is_player(self, value: Value) -> bool:
        """Whether the value has shares; a given one has none."""
        return value.step == 0 or self.steps[value.step - 1].rule.propagates

    def _pair(self, value: Value, of_rows: list[Tensor], of_references: list[Tensor]) -> Pair:
        position = 2 + self.kept.index(value)
        return Pair(of_rows[position].unsqueeze(1), of_references[position].unsqueeze(0))

    def _cut(self) -> list[Part]:
        parts: list[Part] = []
        live = [self.logits]
        waiting: list[int] = []
        given = live

        def close() -> None:
            nonlocal waiting, given
            if waiting:
                parts.append(Part(tuple(waiting), tuple(given), tuple(live)))
            waiting, given = [], live

        for index, step in reversed(list(enumerate(self.steps, start=1))):
            if all(value.step != index for value in live):
                continue
            if step.rule.kernel is not None:
                close()
            waiting = [*waiting, index]
            live = [value for value in live if value.step != index] + list(filter(self._is_player, step.inputs))
            if step.rule.kernel is not None:
                close()
        close()
        return parts


def without_unused(steps: Sequence[Step], logits: Value) -> tuple[list[Step], Value]:
    """The steps that the logits depend on, in their order; and where the logits are now."""
    needed = {logits.step}
    for index, step in reversed(list(enumerate(steps, start=1))):
        if index in needed:
            needed.update(value.step for value in step.inputs)
    numbers = {index: position for position, index in enumerate(sorted(needed - {0}), start=1)} | {0: 0}

    def moved(value: Value) -> Value:
        return Value(numbers[value.step], value.output)

    kept = [
        Step(step.rule, tuple(moved(value) for value in step.inputs))
        for index, step in enumerate(steps, start=1)
        if index in needed
    ]
    return kept, moved(logits)


def _total(live: Sequence[tuple[Value, Tensor]], value: Value) -> Tensor | None:
    """The multiplier of a value; None where nothing depends on it."""
    multipliers = [m for other, m in live if other == value]
    return sum(multipliers[1:], multipliers[0]) if multipliers else None
