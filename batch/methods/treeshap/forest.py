"""`Forest`: trees as the kernels take them, in terms of players and of the raw scores that are explained."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.trees import LEAF, Trees


class Forest(NamedTuple):
    """The nodes of all trees, side by side; children come after their parents."""

    roots: NDArray[np.int32]
    """[T]"""
    cell: NDArray[np.int32]
    """[M]: the cell that a node tests."""
    player: NDArray[np.int32]
    """[M]: the player whose cell that is."""
    threshold: NDArray[np.float32]
    """[M]"""
    missing_left: NDArray[np.bool_]
    """[M]"""
    left: NDArray[np.int32]
    """[M]: -1 at a leaf."""
    right: NDArray[np.int32]
    """[M]"""
    parent: NDArray[np.int32]
    """[M]: -1 at a root."""
    ratio: NDArray[np.float64]
    """[M]: the share of the parent's training rows that came here; empty where references are measured against."""
    value: NDArray[np.float64]
    """[M, C]: what a leaf adds to each raw score."""

    @classmethod
    def of(
        cls, trees: Trees, player_of_cell: NDArray[np.int64], value: NDArray[np.float64], by_cover: bool
    ) -> "Forest":
        """The forest of a bundle's trees.

        Args:
            trees: the trees; with `cover`, where that is asked for.
            player_of_cell: the player of each cell, [P].
            value: what each leaf adds to each raw score, [M, C].
            by_cover: whether the trees' own training rows are measured against.
        """
        inner = np.flatnonzero(trees.left != LEAF)
        parent = np.full(len(trees.cell), -1, dtype=np.int32)
        parent[trees.left[inner]] = parent[trees.right[inner]] = inner
        player = np.full(len(trees.cell), -1, dtype=np.int32)
        player[inner] = player_of_cell[trees.cell[inner]]
        ratio = np.empty(0) if not by_cover else _ratios(trees, inner)
        return cls(
            trees.roots,
            trees.cell,
            player,
            trees.threshold,
            trees.missing_left,
            trees.left,
            trees.right,
            parent,
            ratio,
            np.ascontiguousarray(value),
        )


def leaf_shares(forest: Forest) -> NDArray[np.float64]:
    """The share of the training rows that came to each node, from its tree's root on, [M]."""
    shares = np.ones(len(forest.parent))
    for node in np.flatnonzero(forest.parent != LEAF):  # parents first
        shares[node] = shares[forest.parent[node]] * forest.ratio[node]
    return shares


def _ratios(trees: Trees, inner: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of its parent's cover that each node has, [M]; a half each where no training row came to the parent."""
    cover: Any = trees.cover
    ratio = np.ones(len(trees.cell))
    both = cover[trees.left[inner]] + cover[trees.right[inner]]
    for child in (trees.left[inner], trees.right[inner]):
        ratio[child] = np.divide(cover[child], both, out=np.full(len(inner), 0.5), where=both > 0)
    return ratio
