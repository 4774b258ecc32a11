"""Facts of a library about its nodes, put to the nodes of canonical trees: training weights, exact thresholds."""

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
    order = [node for node in from_left(trees) if trees.left[node] == LEAF]
    if len(order) != len(leaves):
        raise ExportError(f"expected the training weights of {len(order)} leaves, got {len(leaves)}")
    cover = np.zeros(len(trees.left))
    cover[order] = leaves
    for node in np.flatnonzero(trees.left != LEAF)[::-1]:  # a child comes after its parent
        cover[node] = cover[trees.left[node]] + cover[trees.right[node]]
    return dataclasses.replace(trees, cover=cover)


def by_node(trees: Trees, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of all nodes in the library's order, tree by tree and from left to right, in the order of `trees`."""
    made = np.empty(len(trees.left))
    made[from_left(trees)] = values
    return made


def from_left(trees: Trees) -> list[int]:
    """The nodes, tree by tree: each before its children, and the left one's before the right one's."""
    left, right = trees.left.tolist(), trees.right.tolist()
    found: list[int] = []
    for root in trees.roots.tolist():
        waiting = [root]
        while waiting:
            node = waiting.pop()
            found.append(node)
            if left[node] != LEAF:
                waiting += [right[node], left[node]]
    return found
