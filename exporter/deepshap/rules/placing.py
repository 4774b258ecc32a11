"""Values written into others: assignments to parts of a tensor, and sums at given positions. Both are linear."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from whyport.exporter.deepshap.rules.linear import Concatenation, Sum
from whyport.exporter.deepshap.rules.registry import Active, Call, Operand, constant, rule_for
from whyport.exporter.deepshap.rules.rule import GRID, Pair, Rule, only
from whyport.exporter.deepshap.rules.shape import ElementMap

aten = torch.ops.aten


class Placing(Rule):
    """Each output element is an element of one of several parts, active or constant.

    Args:
        parts: their elements are numbered consecutively.
        index: the number of every output element, in the output's shape.
    """

    keeps_finite = True

    def __init__(self, parts: Sequence[Operand], index: Tensor) -> None:
        super().__init__()
        self.shapes = [part.shape for part in parts if isinstance(part, Active)]
        flat = [
            Active((prod(part.shape),), part.dtype) if isinstance(part, Active) else part.flatten() for part in parts
        ]
        self.together = Concatenation(flat, 0)
        self.map = ElementMap((sum(prod(part.shape) for part in parts),), index)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (elements,) = self.together.activate([x.reshape(x.shape[0], -1) for x in inputs])
        return [self.map.transform(elements)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        (m,) = self.map.propagate(multipliers, inputs, outputs)
        parts = self.together.propagate([m], inputs, outputs)
        return [part.reshape(*m.shape[:GRID], *shape) for part, shape in zip(parts, self.shapes, strict=True)]


class Accumulation(Rule):
    """A base with elements of an active source added to it.

    Args:
        base: active or constant.
        source: the shape of what is added.
        taken: numbers of the source's elements that are added, [K].
        positions: the base's element that each of them is added to, [K].
    """

    keeps_finite = True
    offset: Tensor

    def __init__(self, base: Operand, source: Active, taken: Tensor, positions: Tensor) -> None:
        super().__init__()
        self.moves_base = isinstance(base, Active)
        self.register_buffer("offset", torch.zeros(()) if isinstance(base, Active) else base.clone())
        self.taken, self.positions = ElementMap(source.shape, taken), ElementMap(base.shape, positions)

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        *base, source = inputs
        added = self.positions.transpose(self.taken.transform(source))
        return [(base[0] if base else self.offset) + added]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        of_source = self.taken.transpose(self.positions.transform(m.flatten(0, GRID - 1)))
        of_source = of_source.reshape(*m.shape[:GRID], *of_source.shape[1:])
        return [m, of_source] if self.moves_base else [of_source]


_PARTS: dict[Any, tuple[int, int]] = {
    aten.copy.default: (0, 1),
    aten.slice_scatter.default: (0, 1),
    aten.diagonal_scatter.default: (0, 1),
    aten.index_put.default: (0, 2),
    aten.scatter.src: (0, 3),
    aten.scatter.value: (0, 3),
}
"""The arguments whose elements are placed; all others say where."""


@rule_for(*(operator for operator in _PARTS if operator is not aten.index_put.default))
def _place(call: Call, *arguments: Any, **options: Any) -> Rule:
    given, count = list(arguments), 0
    parts: list[Operand] = []
    for i in _PARTS[call.operator]:
        part = given[i] if isinstance(given[i], Active) else constant(call, given[i]).to(torch.get_default_dtype())
        elements = torch.arange(count, count + prod(part.shape)).reshape(part.shape)
        given[i] = int(elements) if call.operator is aten.scatter.value and i else elements
        parts.append(part)
        count += prod(part.shape)
    _refuse_active(call, given, options)
    # The operator itself says which element comes where.
    return Placing(parts, call.operator(*given, **options).reshape(call.shape))


@rule_for(aten.index_put.default)
def _index_put(
    call: Call, base: Operand, indices: Sequence[Tensor | None], values: Operand, accumulate: bool = False
) -> Rule:
    if not accumulate:
        return _place(call, base, indices, values)
    _refuse_active(call, indices)
    positions = aten.index(_elements(base), indices)
    return _add_at(call, base, values, _elements(values).expand(positions.shape), positions)


@rule_for(aten.scatter_add.default, aten.scatter_reduce.two)
def _scatter_add(
    call: Call, base: Operand, axis: int, index: Tensor, source: Operand, reduce: str = "sum", **options: Any
) -> Rule:
    _refuse_active(call, index)
    if reduce != "sum" or not options.get("include_self", True):
        call.refuse(f" with the reduction {reduce!r}" + ("" if options.get("include_self", True) else " without self"))
    taken = _elements(source)[tuple(slice(size) for size in index.shape)]
    return _add_at(call, base, source, taken, _elements(base).gather(axis, index))


def _add_at(call: Call, base: Operand, source: Operand, taken: Tensor, positions: Tensor) -> Rule:
    if isinstance(source, Active):
        return Accumulation(base, source, taken.flatten(), positions.flatten())
    assert isinstance(base, Active)
    zeros = torch.zeros(prod(base.shape), dtype=source.dtype)
    added = zeros.index_add(0, positions.flatten(), source.flatten()[taken.flatten()])
    return Sum([base.shape], [1.0], added.reshape(base.shape), call.shape)


def _elements(operand: Operand) -> Tensor:
    return torch.arange(prod(operand.shape)).reshape(operand.shape)


def _refuse_active(call: Call, *arguments: Any) -> None:
    if any(isinstance(leaf, Active) for leaf in pytree.tree_leaves(arguments)):
        call.refuse(" where the positions depend on the row")
