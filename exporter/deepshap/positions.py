"""Positions of values: the second output of sort, topk and max. They are no sums of shares, but they gather values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import fx
from torch.utils import _pytree as pytree

from whyport.exporter.deepshap.program import Value
from whyport.exporter.deepshap.rules.registry import Call

aten = torch.ops.aten


@dataclass(frozen=True)
class Positions:
    """Where values are among those that they were chosen from, along an axis."""

    call: Call
    values: Value
    among: Value
    axis: int
    size: int
    """The length of the axis."""


def positions_of(node: fx.Node, call: Call, values: Value, among: Value) -> Positions:
    """The positions that an operator gives beside its values; refused where it is along no axis.

    Raises:
        UnsupportedOperatorError: by name and place.
    """
    names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
    if "dim" not in names:
        _refuse(call)
    at = names.index("dim")
    axis = node.args[at] if at < len(node.args) else node.kwargs.get("dim", -1)
    assert isinstance(axis, int)
    assert isinstance(node.args[0], fx.Node)
    shape = node.args[0].meta["val"].shape
    return Positions(call, values, among, axis % len(shape), int(shape[axis]))


def gathered(node: fx.Node, args: Sequence[Any]) -> Value | Positions:
    """The values, where `node` gathers them from where they are.

    Raises:
        UnsupportedOperatorError: for any other use of positions, by name and place.
    """
    used = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, Positions)]
    if node.target is aten.gather.default and args[2] in used:
        source, axis, positions = args[:3]
        if source == positions.among and axis % node.meta["val"].ndim == positions.axis:
            values: Value = positions.values
            return values
    if node.target is aten.remainder.Scalar and args[1] == used[0].size:
        return used[0]  # take_along_dim counts negative positions from the end
    _refuse(used[0].call)


def _refuse(call: Call) -> NoReturn:
    call.refuse(" where more than its values is used")
