"""Operators that only move elements: each output element is one input element, or a constant."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from whyport.exporter.deepshap.rules.embedding import Embedding
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import GRID, LinearRule, Pair, Rule, Shape, only

aten = torch.ops.aten

HOLE = -1
"""Marks, in an index, an output element that is no input element."""


class Reshape(LinearRule):
    """The same elements in the same order."""

    def __init__(self, given: Shape, shape: Shape) -> None:
        super().__init__()
        self.given, self.shape = given, shape

    def transform(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)

    def transpose(self, m: Tensor) -> Tensor:
        return m.reshape(m.shape[0], *self.given)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        # In one step: with the grid as one axis, what is not contiguous would be copied twice.
        m = only(multipliers)
        return [m.reshape(*m.shape[:GRID], *self.given)]


class Permute(LinearRule):
    """The same elements with the axes in another order."""

    def __init__(self, axes: list[int]) -> None:
        super().__init__()
        axes = [axis % len(axes) for axis in axes]
        self.axes = [0, *(axis + 1 for axis in axes)]
        self.inverse = [0, *(axes.index(axis) + 1 for axis in range(len(axes)))]

    def transform(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)

    def transpose(self, m: Tensor) -> Tensor:
        return m.permute(self.inverse)

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        # With the grid as one axis, this could be more than another view.
        return [only(multipliers).permute(*range(GRID), *(GRID - 1 + axis for axis in self.inverse[1:]))]


class Expand(LinearRule):
    """Repeats along axes of size 1."""

    def __init__(self, given: Shape, shape: Shape) -> None:
        super().__init__()
        self.aligned = (*[1] * (len(shape) - len(given)), *given)
        self.given, self.shape = given, shape
        self.repeated = [i + 1 for i, size in enumerate(shape) if size != self.aligned[i]]

    def transform(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.aligned).expand(-1, *self.shape)

    def transpose(self, m: Tensor) -> Tensor:
        m = m.sum(self.repeated) if self.repeated else m
        return m.reshape(m.shape[0], *self.given)


class ElementMap(LinearRule):
    """Output element i is input element index[i], flattened, or `fill` at a hole.

    Args:
        given: the input's shape.
        index: for every output element, in the output's shape.
        fill: the value at holes.
    """

    index: Tensor
    inverse: Tensor

    def __init__(self, given: Shape, index: Tensor, fill: float = 0.0) -> None:
        super().__init__()
        self.given, self.shape, self.fill = given, tuple(index.shape), fill
        self.size = int(torch.tensor(given).prod())
        flat = index.flatten()
        self.holes = bool((flat == HOLE).any())
        self.register_buffer("index", torch.where(flat == HOLE, self.size, flat))
        # Where no element is used twice, gathering by the inverse is much faster than adding at an index.
        uses = torch.bincount(flat[flat != HOLE], minlength=self.size)
        self.injective, self.unused = bool((uses <= 1).all()), bool((uses == 0).any())
        inverse = torch.full((self.size,), flat.numel())
        inverse[flat[flat != HOLE]] = torch.arange(flat.numel())[flat != HOLE]
        self.register_buffer("inverse", inverse)

    def transform(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if self.holes:
            x = torch.nn.functional.pad(x, (0, 1), value=self.fill)
        return x.index_select(1, self.index).reshape(x.shape[0], *self.shape)

    def transpose(self, m: Tensor) -> Tensor:
        m = m.flatten(1)
        if self.injective:
            if self.unused:
                m = torch.nn.functional.pad(m, (0, 1))
            x = m.index_select(1, self.inverse)
        else:
            x = m.new_zeros(m.shape[0], self.size + 1).index_add(1, self.index, m)[:, : self.size]
        return x.reshape(m.shape[0], *self.given)


class Pick(LinearRule):
    """A range along one axis, which slices and selections are."""

    def __init__(self, given: Shape, shape: Shape, axis: int, start: int) -> None:
        super().__init__()
        self.given, self.shape, self.axis, self.start = given, shape, axis % len(given), start
        self.length = int(torch.tensor(shape).prod()) * given[self.axis] // int(torch.tensor(given).prod())

    def transform(self, x: Tensor) -> Tensor:
        return x.narrow(self.axis + 1, self.start, self.length).reshape(x.shape[0], *self.shape)

    def ahead_of(self, rule: Reshape | Permute) -> tuple["Pick", *tuple[LinearRule, ...]] | None:
        """The rules that make the same of what is given to `rule`, the pick first; None where the pick comes last.

        A pick of whole runs of neighbouring elements is one before a reshape, too.
        """
        picked = _with(self.given, self.axis, self.length)
        if isinstance(rule, Permute):
            axes = [axis - 1 for axis in rule.axes[1:]]
            given = tuple(self.given[axes.index(axis)] for axis in range(len(axes)))
            axis = axes[self.axis]
            first = Pick(given, _with(given, axis, self.length), axis, self.start)
            return first, Permute(axes), Reshape(picked, self.shape)
        outer, inner = prod(self.given[: self.axis]), prod(self.given[self.axis + 1 :])
        for axis in range(len(rule.given)):
            run = prod(rule.given[axis + 1 :])
            start, length = self.start * inner / run, self.length * inner / run
            if prod(rule.given[:axis]) == outer and start.is_integer() and length.is_integer():
                shape = _with(rule.given, axis, int(length))
                return Pick(rule.given, shape, axis, int(start)), Reshape(shape, self.shape)
        return None

    def unpicked(self, m: Tensor) -> Tensor:
        """A multiplier [C, N, R, *shape] with its range as an axis again."""
        return m.reshape(*m.shape[:GRID], *self.given[: self.axis], self.length, *self.given[self.axis + 1 :])

    def transpose(self, m: Tensor) -> Tensor:
        m = m.reshape(m.shape[0], *self.given[: self.axis], self.length, *self.given[self.axis + 1 :])
        behind = self.given[self.axis] - self.start - self.length
        return torch.nn.functional.pad(m, [0, 0] * (len(self.given) - 1 - self.axis) + [self.start, behind])


class Pad(LinearRule):
    """The same elements with a number around them, or without those at the ends.

    Args:
        padding: how many are added before and behind, of the last axis, then of the one before it, and so on; those
            below 0 are left out.
        value: the number.
    """

    def __init__(self, padding: Sequence[int], value: float) -> None:
        super().__init__()
        self.padding, self.value = list(padding), value
        self.without = [-size for size in padding]

    def transform(self, x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x, self.padding, value=self.value)

    def transpose(self, m: Tensor) -> Tensor:
        return torch.nn.functional.pad(m, self.without)


class Split(Rule):
    """Several picks of one value whose ranges cover an axis, each position once: their multipliers need no sum."""

    def __init__(self, picks: Sequence[Pick]) -> None:
        super().__init__()
        self.outputs = len(picks)
        self.picks = picks

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [pick.transform(inputs[0]) for pick in self.picks]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        parts = []
        for pick, m in zip(self.picks, multipliers, strict=True):
            assert m is not None  # whatever the logits do not depend on has been pruned
            parts.append(pick.unpicked(m))
        # One part may be the same for every row or reference where another is not.
        grid = [max(part.shape[axis] for part in parts) for axis in range(GRID)]
        parts = [part.expand(*grid, *part.shape[GRID:]) for part in parts]
        return [torch.cat(parts, GRID + self.picks[0].axis)]


def _with(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


@rule_for(
    *(aten.view.default, aten.unsqueeze.default, aten.squeeze.dims),
    *(aten.alias.default, aten.clone.default),
)
def _reshape(call: Call, x: Active, *_: Any, **__: Any) -> Rule:
    return Reshape(x.shape, call.shape)


@rule_for(aten.permute.default)
def _permute(call: Call, x: Active, axes: list[int]) -> Rule:
    return Permute(axes)


@rule_for(aten.select.int)
def _select(call: Call, x: Active, axis: int, index: int) -> Rule:
    return Pick(x.shape, call.shape, axis, index % x.shape[axis])


@rule_for(aten.slice.Tensor)
def _slice(
    call: Call, x: Active, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Rule:
    if step != 1:
        return _move(call, x, axis, start, end, step)
    return Pick(x.shape, call.shape, axis, slice(start, end).indices(x.shape[axis])[0])


@rule_for(aten.expand.default)
def _expand(call: Call, x: Active, sizes: list[int]) -> Rule:
    return Expand(x.shape, call.shape)


@rule_for(
    *(aten.flip.default, aten.repeat.default, aten.index_select.default),
    *(aten.index.Tensor, aten.gather.default, aten.unfold.default, aten.diagonal.default, aten.as_strided.default),
)
def _move(call: Call, x: Operand, *arguments: Any, **options: Any) -> Rule:
    if isinstance(x, Tensor):
        return _of_table(call, x, *arguments, **options)
    if any(isinstance(leaf, Active) for leaf in pytree.tree_leaves((arguments, options))):
        call.refuse(" where the index depends on the row")
    # The operator itself says where it takes each element from.
    elements = torch.arange(int(torch.tensor(x.shape).prod())).reshape(x.shape)
    return ElementMap(x.shape, call.operator(elements, *arguments, **options).clone())


def _of_table(call: Call, table: Tensor, *arguments: Any) -> Rule:
    """A constant's elements at an index that depends on the row, along the first axis alone."""
    if call.operator is aten.index.Tensor and len(arguments[0]) == 1:
        return Embedding(constant(call, table))
    if call.operator is aten.index_select.default and arguments[0] == 0:
        return Embedding(constant(call, table))
    return call.refuse(" where the index depends on the row")


@rule_for(aten.constant_pad_nd.default)
def _pad(call: Call, x: Active, padding: list[int], value: float = 0.0) -> Rule:
    return Pad(padding, value)
