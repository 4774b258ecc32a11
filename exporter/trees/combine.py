"""Several sums of trees as one, with no more raw scores and cells than it needs."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.trees.affine import Affine
from whyport.runtime.bundle.trees import LEAF, Trees

ROUNDING = 1e-6
"""How far the two scores of a leaf may be from the same sum as a tree's other leaves, of the tree's largest score."""


def combine(parts: Sequence[Trees], affine: Affine) -> Trees:
    """The trees whose scores are an affine map of the scores of all parts, side by side.

    Args:
        parts: trees over the same columns.
        affine: from their scores to those of the result.
    """
    nodes = np.cumsum([0, *(len(part.cell) for part in parts)])
    cells = np.cumsum([0, *(len(part.columns) for part in parts)])
    raw = np.cumsum([0, *(part.value.shape[1] for part in parts)])
    tables = np.cumsum([0, *(len(part.tables) for part in parts)])
    scores = np.cumsum([0, *(len(part.offset) for part in parts)])
    value, weights = np.zeros((nodes[-1], raw[-1])), np.zeros((len(affine.offset), raw[-1]))
    offset = affine.offset.copy()
    for i, part in enumerate(parts):
        share = affine.weights[:, scores[i] : scores[i + 1]]
        value[nodes[i] : nodes[i + 1], raw[i] : raw[i + 1]] = part.value
        weights[:, raw[i] : raw[i + 1]] = share @ part.weights
        offset += share @ part.offset

    def joined(name: str, starts: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        """The parts' arrays, one after the other; their indices, but for -1, move by `starts`."""
        arrays = [getattr(part, name) for part in parts]
        if starts is not None:
            arrays = [np.where(array < 0, array, array + start) for array, start in zip(arrays, starts, strict=False)]
            return np.concatenate(arrays).astype(np.int32)
        return np.concatenate(arrays)

    covers = [part.cover for part in parts if part.cover is not None]
    whole = Trees(
        roots=joined("roots", nodes),
        cell=joined("cell", cells),
        threshold=joined("threshold"),  # type: ignore[arg-type]
        missing_left=joined("missing_left"),  # type: ignore[arg-type]
        left=joined("left", nodes),
        right=joined("right", nodes),
        value=value,
        weights=weights,
        offset=offset,
        columns=joined("columns"),
        encoding=joined("encoding", tables),
        tables=joined("tables"),  # type: ignore[arg-type]
        cover=np.concatenate(covers) if len(covers) == len(parts) else None,
    )
    return simplify(whole)


def simplify(trees: Trees) -> Trees:
    """The same trees with no more raw scores than scores, one of two that are tied, and the cells that are tested."""
    return _used_cells(_one_of_two(_no_more_than_scores(trees)))


def _no_more_than_scores(trees: Trees) -> Trees:
    targets, raw = trees.weights.shape
    if raw <= targets:
        return trees
    return dataclasses.replace(trees, value=trees.value @ trees.weights.T, weights=np.eye(targets))


def _one_of_two(trees: Trees) -> Trees:
    """One raw score of two classes where each tree's leaves give both the same sum, as shares of votes do."""
    if trees.weights.shape != (2, 2):
        return trees
    both = trees.value @ trees.weights.T
    leaf = np.flatnonzero(trees.left == LEAF)
    tree = np.searchsorted(np.sort(trees.roots), leaf, side="right") - 1
    sums = both[leaf].sum(axis=1)
    largest, total, count = (np.zeros(len(trees.roots)) for _ in range(3))
    np.maximum.at(largest, tree, np.abs(both[leaf]).max(axis=1))
    np.add.at(total, tree, sums)
    np.add.at(count, tree, 1.0)
    mean = total / np.maximum(count, 1)
    if (np.abs(sums - mean[tree]) > ROUNDING * largest[tree]).any():
        return trees
    offset = trees.offset + np.array([mean.sum(), 0.0])
    return dataclasses.replace(trees, value=both[:, 1:], weights=np.array([[-1.0], [1.0]]), offset=offset)


def _used_cells(trees: Trees) -> Trees:
    """The trees over the cells that a node tests, each once."""
    inner = trees.left != LEAF
    used, place = np.unique(trees.cell[inner], return_inverse=True)
    # A column's own number is one cell, however often it is named.
    keys = [(int(trees.columns[j]), int(trees.encoding[j])) for j in used]
    kept = list(dict.fromkeys(keys))
    index = np.array([kept.index(key) for key in keys], dtype=np.int32)
    cell = np.full(len(trees.cell), LEAF, dtype=np.int32)
    cell[inner] = index[place] if len(used) else 0
    columns, encoding = np.array(kept, dtype=np.int32).reshape(-1, 2).T
    return dataclasses.replace(
        trees, cell=cell, columns=np.ascontiguousarray(columns), encoding=np.ascontiguousarray(encoding)
    )
