"""Which values of a network depend on the lengths of its sequences alone; they are given, see `rules.given`."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

aten = torch.ops.aten

_MOVES = {
    *(aten.view.default, aten.unsqueeze.default, aten.squeeze.dims, aten.alias.default, aten.permute.default),
    *(aten.select.int, aten.slice.Tensor, aten.expand.default, aten.flip.default, aten.repeat.default),
    *(aten.cat.default, aten.index.Tensor, aten.index_select.default),
}
"""Operators whose every output element is an element of their first argument."""


class Dependence:
    """For each value, which of its elements depend on more than lengths and constants.

    Args:
        row: the network's input.
        lengths: its cells that hold lengths.
    """

    def __init__(self, row: fx.Node, lengths: Sequence[int]) -> None:
        cells = torch.ones(row.meta["val"].shape, dtype=torch.bool)
        cells[:, list(lengths)] = False
        self._of: dict[fx.Node, Any] = {row: cells} if lengths else {}

    def is_given(self, node: fx.Node, known: Mapping[fx.Node, Any]) -> bool:
        """Whether the value that a node makes is given; asked for every node, in the graph's order.

        Args:
            node: an operator's call.
            known: the constants, by the nodes that make them.
        """
        if self._of.keys().isdisjoint(node.all_input_nodes):
            return False
        self._of[node] = self._elements(node, known)
        return not any(bool(leaf.any()) for leaf in pytree.tree_leaves(self._of[node]))

    def _elements(self, node: fx.Node, known: Mapping[fx.Node, Any]) -> Any:
        active = [self._of[each] for each in node.all_input_nodes if each in self._of]
        depends = any(bool(leaf.any()) for each in active for leaf in pytree.tree_leaves(each))
        if not depends:
            return _none(node)
        if node.target in _MOVES and not _actives(node.args[1:], self._of):
            first = pytree.tree_map_only(fx.Node, self._contiguous, node.args[0])
            where = pytree.tree_map_only(fx.Node, known.__getitem__, node.args[1:])
            return node.target(first, *where, **node.kwargs)
        if torch.Tag.pointwise in getattr(node.target, "tags", ()) or node.target is aten._to_copy.default:
            return reduce(torch.logical_or, active).expand(node.meta["val"].shape)
        return _every(node)

    def _contiguous(self, node: fx.Node) -> Any:
        return self._of[node].contiguous() if node in self._of else _none(node)


def _actives(arguments: Any, active: dict[fx.Node, Any]) -> bool:
    return any(isinstance(leaf, fx.Node) and leaf in active for leaf in pytree.tree_leaves(arguments))


def _none(node: fx.Node) -> Any:
    return pytree.tree_map_only(Tensor, lambda value: torch.zeros(value.shape, dtype=torch.bool), node.meta["val"])


def _every(node: fx.Node) -> Any:
    return pytree.tree_map_only(Tensor, lambda value: torch.ones(value.shape, dtype=torch.bool), node.meta["val"])
