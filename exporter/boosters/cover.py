"""Training weights of the nodes of trees, from those of their leaves."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.trees import LEAF, Trees
from whyport.runtime.errors import ExportError


def with_covers(trees: Trees, leaves: NDArray[np.float64]) -> Trees:
    """The trees with the training weight of each node, that of the leaves below it.

    Args:
        trees: the trees.
        leaves: the weight of each leaf, tree by tree, from left to right.

    Raises:
        ExportError: there are not so many leaves.
    """
    order = _leaves_from_left(trees)
    if len(order) != len(leaves):
        raise ExportError(f"expected the training weights of {len(order)} leaves, got {len(leaves)}")
    cover = np.zeros(len(trees.left))
    cover[order] = leaves
    for node in np.flatnonzero(trees.left != LEAF)[::-1]:  # a child comes after its parent
        cover[node] = cover[trees.left[node]] + cover[trees.right[node]]
    return dataclasses.replace(trees, cover=cover)


def _leaves_from_left(trees: Trees) -> list[int]:
    left, right = trees.left.tolist(), trees.right.tolist()
    found: list[int] = []
    for root in trees.roots.tolist():
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if left[node] == LEAF:
                found.append(node)
            else:
                waiting += [right[node], left[node]]
    return found
