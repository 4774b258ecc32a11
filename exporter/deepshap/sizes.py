"""Sizes that constants decide: a mask of the features selects as many of them as it holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree


def settle_sizes(nodes: Sequence[fx.Node], constants: Mapping[fx.Node, Tensor]) -> None:
    """Put numbers in the place of sizes that torch.export knows only by symbols.

    Args:
        nodes: every call of the graph, in order; their `meta` is changed.
        constants: parameters, buffers and constants by their placeholder.
    """
    if not any(_sizes(node) for node in nodes):
        return
    known: dict[fx.Node, Any] = dict(constants)
    numbers: dict[Any, int] = {}

    def value_of(node: fx.Node) -> Any:
        return known[node] if node in known else pytree.tree_map_only(Tensor, _zeros, node.meta["val"])

    def settled(value: Tensor) -> Tensor:
        sizes: list[Any] = list(value.shape)
        shape = [int(size.node.expr.subs(numbers)) if isinstance(size, torch.SymInt) else size for size in sizes]
        return torch.empty(shape, dtype=value.dtype, device="meta")

    for node in nodes:
        constant = known.keys() >= set(node.all_input_nodes)
        if constant or any(size.node.expr.free_symbols - numbers.keys() for size in _sizes(node)):
            # What depends on the row has the size that it has for any row.
            args, kwargs = pytree.tree_map_only(fx.Node, value_of, (node.args, dict(node.kwargs)))
            value = node.target(*args, **kwargs)  # type: ignore[operator]
            pairs = zip(_all_sizes(node.meta["val"]), _all_sizes(value), strict=True)
            numbers.update((size.node.expr, number) for size, number in pairs if isinstance(size, torch.SymInt))
            if constant:
                known[node] = value
        if _sizes(node):
            node.meta["val"] = pytree.tree_map_only(Tensor, settled, node.meta["val"])


def _zeros(value: Tensor) -> Tensor:
    return torch.zeros(value.shape, dtype=value.dtype)


def _sizes(node: fx.Node) -> list[Any]:
    """The sizes that are no numbers."""
    return [size for size in _all_sizes(node.meta["val"]) if isinstance(size, torch.SymInt)]


def _all_sizes(values: Any) -> list[Any]:
    return [size for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor) for size in leaf.shape]
