"""The forest cut into units: subtrees so small that one table holds every way a row can pass through them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.compiled import compiler
from whyport.batch.methods.treeshap.forest import Forest

compiled = compiler()


class Units(NamedTuple):
    """Maximal subtrees with (players tested on the way) + (splits inside) of at most so many bits, and leaves beyond.

    A row's place in a unit's table is made of these bits: which players leave the way, and its side of each split.
    """

    node: NDArray[np.int32]
    """[U]: the node at the top of each unit; a leaf, where a leaf alone has more bits."""
    players: NDArray[np.int32]
    """[U]: the number of players tested on the way to it."""
    splits: NDArray[np.int32]
    """[U]: the number of splits inside."""

    @property
    def bits(self) -> NDArray[np.int32]:
        """The bits of each unit's index, [U]."""
        return self.players + self.splits

    def only(self, chosen: NDArray[np.bool_]) -> "Units":
        """Some of the units, in their order."""
        return Units(*(array[chosen] for array in self))


def cut(forest: Forest, bits: int) -> Units:
    """The units of a forest.

    Args:
        forest: the trees.
        bits: the most bits of a unit that is no single leaf.
    """
    players = int(forest.player.max(initial=-1)) + 1
    return Units(*_cut(forest, bits, players))


def deepest(forest: Forest) -> int:
    """The largest number of splits on the way to a leaf."""
    return int(_depths(forest.left, forest.right).max(initial=0))


@compiled
def _depths(left, right):  # type: ignore[no-untyped-def]
    depths = np.zeros(len(left), np.int32)
    for node in range(len(left)):
        if left[node] >= 0:
            depths[left[node]] = depths[right[node]] = depths[node] + 1
    return depths


@compiled
def _cut(forest, bits, players):  # type: ignore[no-untyped-def]
    left, right, player = forest.left, forest.right, forest.player
    inner = np.zeros(len(left), np.int32)
    for node in range(len(left) - 1, -1, -1):
        if left[node] >= 0:
            inner[node] = 1 + inner[left[node]] + inner[right[node]]
    tops, counts, splits = np.empty(len(left), np.int32), np.empty(len(left), np.int32), np.empty(len(left), np.int32)
    made = 0
    depth = _depths(left, right).max() + 2
    way, stage = np.empty(depth, np.int32), np.empty(depth, np.int8)
    seen = np.zeros(players, np.int32)
    for root in forest.roots:
        top, distinct = 0, 0
        way[0], stage[0] = root, 0
        while top >= 0:
            node = way[top]
            if left[node] < 0 or (stage[top] == 0 and distinct + inner[node] <= bits):
                tops[made], counts[made], splits[made] = node, distinct, inner[node]
                made += 1
                top -= 1
                continue
            own = player[node]
            if stage[top] == 0:
                distinct += seen[own] == 0
                seen[own] += 1
            if stage[top] == 2:
                seen[own] -= 1
                distinct -= seen[own] == 0
                top -= 1
                continue
            way[top + 1] = left[node] if stage[top] == 0 else right[node]
            stage[top] += 1
            stage[top + 1] = 0
            top += 1
    return tops[:made].copy(), counts[:made].copy(), splits[:made].copy()
