"""Nodes of decision trees, however they compare, brought into the one form of `Trees`."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.trees.thresholds import round_below, round_down
from whyport.runtime.bundle.trees import LEAF, NUMBER, Trees
from whyport.runtime.errors import ExportError

COPIES = 4
"""Nodes made for each that is there, at most: a leaf may have several parents."""

AT_MOST, BELOW, ABOVE, AT_LEAST = "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"


@dataclass(frozen=True)
class Branches:
    """M nodes: where `cell MODE threshold` holds a row goes to `yes`, else to `no`."""

    mode: NDArray[np.str_]
    """[M]: as ONNX names them; "LEAF" at a leaf."""
    cell: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_yes: NDArray[np.bool_]
    """[M]: whether a NaN goes to `yes`."""
    yes: NDArray[np.int64]
    """[M]: -1 at a leaf."""
    no: NDArray[np.int64]

    def sides(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The sides [M] of low and of high numbers."""
        swapped = np.isin(self.mode, [ABOVE, AT_LEAST])
        return np.where(swapped, self.no, self.yes), np.where(swapped, self.yes, self.no)


def make_trees(
    roots: NDArray[np.int64],
    branches: Branches,
    value: NDArray[np.float64],
    weights: NDArray[np.float64],
    offset: NDArray[np.float64],
    cover: NDArray[np.float64] | None = None,
) -> Trees:
    """Trees in preorder over cells that are the columns themselves.

    Args:
        roots: [T], the trees' first nodes.
        branches: the nodes.
        value: [M, R], what each leaf adds; what is not at a leaf is dropped.
        weights: [K, R]
        offset: [K]
        cover: [M], the weight of the training rows that came by each node.

    Raises:
        ExportError: nodes compare otherwise than by order, or are no trees.
    """
    inner = branches.yes >= 0
    others = sorted(set(branches.mode[inner].tolist()) - {AT_MOST, BELOW, ABOVE, AT_LEAST})
    if others:
        raise ExportError(f"its trees compare by {', '.join(others)}, not by the order of numbers")
    node, left, right = _preorder(roots, *branches.sides())
    if len(np.unique(node)) < len(branches.mode):
        raise ExportError("its nodes are no trees: some are reached from no root")
    swapped = np.isin(branches.mode, [ABOVE, AT_LEAST])
    is_leaf = left == LEAF
    strict = np.isin(branches.mode, [BELOW, AT_LEAST])
    threshold = np.where(strict, round_below(branches.threshold), round_down(branches.threshold))[node]
    cell = branches.cell[node]
    columns = np.arange(int(cell[~is_leaf].max()) + 1 if (~is_leaf).any() else 0, dtype=np.int32)
    return Trees(
        roots=np.flatnonzero(_is_root(len(node), left, right)).astype(np.int32),
        cell=np.where(is_leaf, LEAF, cell).astype(np.int32),
        threshold=np.where(is_leaf, 0, threshold).astype(np.float32),
        missing_left=(branches.missing_yes ^ swapped)[node] & ~is_leaf,
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        value=np.where(is_leaf[:, None], value[node], 0.0),
        weights=weights,
        offset=offset,
        columns=columns,
        encoding=np.full(len(columns), NUMBER, dtype=np.int32),
        tables=np.zeros(0, dtype=np.float32),
        cover=None if cover is None else cover[node],
    )


def in_preorder(trees: Trees) -> Trees:
    """The same trees, each node right before its left side."""
    node, left, right = _preorder(trees.roots.astype(np.int64), trees.left, trees.right)
    return dataclasses.replace(
        trees,
        roots=np.flatnonzero(_is_root(len(node), left, right)).astype(np.int32),
        cell=trees.cell[node],
        threshold=trees.threshold[node],
        missing_left=trees.missing_left[node],
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        value=trees.value[node],
        cover=None if trees.cover is None else trees.cover[node],
    )


def _is_root(count: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
    root = np.ones(count, dtype=bool)
    root[left[left >= 0]] = root[right[right >= 0]] = False
    return root


def _preorder(
    roots: NDArray[np.int64], low: NDArray[np.integer[Any]], high: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The nodes of the trees, each parent right before its `low` side, and the positions of both sides.

    A node that several parents share comes once for each.
    """
    limit = COPIES * len(low) + len(roots)
    # Level by level: the nodes, and where each one's two children begin in the next level.
    levels, sizes = [np.asarray(roots, dtype=np.int64)], []
    while (has := low[levels[-1]] >= 0).any():
        parents = levels[-1][has]
        levels.append(np.stack([low[parents], high[parents]], axis=1).reshape(-1))
        if sum(map(len, levels)) > limit:
            raise ExportError("its nodes are no trees: some are reached by many ways")
    below = np.zeros(0, dtype=np.int64)
    for level in reversed(levels):
        size = np.ones(len(level), dtype=np.int64)
        size[low[level] >= 0] += below.reshape(-1, 2).sum(axis=1)
        sizes.append(below := size)
    sizes.reverse()
    total = int(sizes[0].sum())
    node, left, right = np.empty(total, dtype=np.int64), np.full(total, LEAF), np.full(total, LEAF)
    at = np.cumsum(sizes[0]) - sizes[0]
    for depth, level in enumerate(levels):
        node[at] = level
        parents = at[low[level] >= 0]
        if not len(parents):
            break
        left[parents] = parents + 1
        right[parents] = parents + 1 + sizes[depth + 1][::2]
        at = np.stack([left[parents], right[parents]], axis=1).reshape(-1)
    return node, left, right
