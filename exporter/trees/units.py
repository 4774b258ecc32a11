"""Units: the subtrees that share one table of explain.onnx, chosen so that the tables are small."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whyport.exporter.trees.conditions import Condition, NodeTests
from whyport.runtime.bundle.trees import LEAF, Trees

MOST_BITS = 14
"""The most bits that a table is indexed by: 2^14 rows of up to 14 numbers."""
UNIT_BYTES = 64
"""What a unit takes beside its table: positions of bits, offsets, columns."""
VALUE_BYTES = 4


@dataclass(frozen=True)
class Leaf:
    """One leaf of a unit."""

    node: int
    conditions: dict[int, Condition]
    """What it asks of each column, from the root of its tree on."""
    route: tuple[tuple[int, bool], ...]
    """The unit's splits on the way to it, and whether it goes left there."""


@dataclass(frozen=True)
class Unit:
    """A subtree whose leaves share a table.

    Its bits are whether the row keeps each condition of the path to the subtree, one a column, and then whether each
    split in the subtree sends the row left.
    """

    path: dict[int, Condition]
    splits: tuple[Condition, ...]
    leaves: tuple[Leaf, ...]

    @property
    def bits(self) -> tuple[Condition, ...]:
        """The conditions that make the table's index, the lowest bit first."""
        return (*self.path.values(), *self.splits)

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns that its leaves share their values among."""
        return tuple(dict.fromkeys((*self.path, *(split.column for split in self.splits))))


class UnitChoice:
    """The choice of units with the smallest tables: of each subtree, one unit, or those of its two halves.

    Args:
        trees: the trees.
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        nodes = len(trees.cell)
        self._column = [-1 if cell == LEAF else int(trees.columns[cell]) for cell in trees.cell]
        self._left, self._right = trees.left.tolist(), trees.right.tolist()
        self._path = [0] * nodes
        """The columns on the path to each node, as bits."""
        for node in range(nodes):
            if self._left[node] != LEAF:
                path = self._path[node] | 1 << self._column[node]
                self._path[self._left[node]] = self._path[self._right[node]] = path
        self._is_unit = [False] * nodes
        self._size = self._choose()

    @property
    def size(self) -> float:
        """The bytes of all tables, known before they are made; infinite where a leaf asks about too many columns."""
        return float(sum(self._size[root] for root in self._trees.roots))

    @property
    def most_columns(self) -> int:
        """The most columns that a leaf asks about."""
        leaves = (path for path, left in zip(self._path, self._left, strict=True) if left == LEAF)
        return max(path.bit_count() for path in leaves)

    def units(self, tests: NodeTests) -> Iterator[Unit]:
        """The units of every tree; a tree of one leaf has none.

        Args:
            tests: what each node tests.
        """
        for root in self._trees.roots.tolist():
            waiting: list[tuple[int, dict[int, Condition]]] = [(root, {})]
            while waiting:
                node, path = waiting.pop()
                if self._is_unit[node]:
                    if unit := self._unit(node, path, tests):
                        yield unit
                    continue
                test = tests.left(node)
                waiting += [
                    (self._right[node], narrowed(path, test.opposite)),
                    (self._left[node], narrowed(path, test)),
                ]

    def _choose(self) -> list[float]:
        """The smallest size of the tables below each node."""
        nodes = len(self._left)
        size, splits, below = [0.0] * nodes, [0] * nodes, [0] * nodes
        raw = [sum(1 << r for r in np.flatnonzero(values).tolist()) for values in self._trees.value]
        for node in reversed(range(nodes)):
            left, right = self._left[node], self._right[node]
            apart = float(np.inf)
            if left != LEAF:
                apart = size[left] + size[right]
                splits[node] = splits[left] + splits[right] + 1
                below[node] = below[left] | below[right] | 1 << self._column[node]
                raw[node] = raw[left] | raw[right]
            bits = self._path[node].bit_count() + splits[node]
            width = (self._path[node] | below[node]).bit_count()
            together = _table_bytes(bits, width, raw[node].bit_count())
            self._is_unit[node] = left == LEAF or together <= apart
            size[node] = min(together, apart)
        return size

    def _unit(self, node: int, path: dict[int, Condition], tests: NodeTests) -> Unit | None:
        splits: list[Condition] = []
        leaves: list[Leaf] = []
        waiting: list[tuple[int, dict[int, Condition], tuple[tuple[int, bool], ...]]] = [(node, path, ())]
        while waiting:
            at, conditions, route = waiting.pop()
            if self._left[at] == LEAF:
                leaves.append(Leaf(at, conditions, route))
                continue
            test, place = tests.left(at), len(splits)
            splits.append(test)
            waiting += [
                (self._right[at], narrowed(conditions, test.opposite), (*route, (place, False))),
                (self._left[at], narrowed(conditions, test), (*route, (place, True))),
            ]
        return Unit(path, tuple(splits), tuple(leaves)) if path or splits else None


def _table_bytes(bits: int, columns: int, raw: int) -> float:
    if bits > MOST_BITS:
        return np.inf
    return float(UNIT_BYTES + VALUE_BYTES * raw * columns * (1 << bits)) if bits else 0.0


def narrowed(conditions: dict[int, Condition], test: Condition) -> dict[int, Condition]:
    """The conditions by column, with one more test."""
    known = conditions.get(test.column)
    return conditions | {test.column: test if known is None else known.meet(test)}
