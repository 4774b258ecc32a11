"""Operators that reduce windows of elements, each window a game whose players are its elements."""

from abc import abstractmethod
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.rule import GRID, Pair, Rule, Shape, only
from whyport.exporter.deepshap.rules.shape import HOLE, ElementMap


class WindowRule(Rule):
    """A symmetric function of each window.

    Args:
        given: the input's shape.
        windows: for every output element of a plane the indices of its window in the plane, flattened, [*shape, k]; a
            hole is no element.
        fill: the value in the place of a hole.
        front: the axes in front of a plane's own; all planes have the same windows.
    """

    reads_inputs = True
    holes: Tensor

    def __init__(self, given: Shape, windows: Tensor, fill: float, front: int = 0) -> None:
        super().__init__()
        self.front, self.plane = front, given[front:]
        self.map = ElementMap(self.plane, windows, fill=fill)
        self.padded = bool((windows == HOLE).any())
        self.register_buffer("holes", windows == HOLE)

    @abstractmethod
    def of_players(self, x: Tensor, r: Tensor) -> Tensor:
        """The multipliers [..., *shape, k] of the elements, from windows of those in row and reference."""

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        x, r = self.of_windows(inputs[0].row), self.of_windows(inputs[0].reference)
        m = only(multipliers).unsqueeze(-1) * self.of_players(x, r)
        flat = self.map.transpose(m.flatten(0, GRID + self.front - 1))
        return [flat.reshape(*m.shape[: GRID + self.front], *self.plane)]

    def of_windows(self, value: Tensor) -> Tensor:
        """The elements of every window, [..., *shape, k], of a value [..., *plane]."""
        front = value.ndim - len(self.plane)
        windows = self.map.transform(value.flatten(0, front - 1))
        return windows.reshape(*value.shape[:front], *windows.shape[1:])


def reduced(given: Shape, axes: int | Sequence[int] | None, shape: Shape) -> Tensor:
    """The windows [*shape, k] of a reduction over axes; over all of them where it names none."""
    rank = len(given)
    over = [axes] if isinstance(axes, int) else axes or list(range(rank))
    over = [axis % rank for axis in over]
    kept = [axis for axis in range(rank) if axis not in over]
    return _elements(given).permute(*kept, *over).reshape(*shape, -1)


def cumulative(given: Shape, axis: int) -> Tensor:
    """The windows [*given, k] of a function of all elements up to each one along an axis."""
    axis, size = axis % len(given), given[axis]
    elements = _elements(given).movedim(axis, -1)
    windows = elements.unsqueeze(-2).expand(*elements.shape, size)
    later = torch.ones(size, size, dtype=torch.bool).triu(1)
    return windows.masked_fill(later, HOLE).movedim(-2, axis)


def _elements(given: Shape) -> Tensor:
    return torch.arange(prod(given)).reshape(given)
