"""The final sigmoid of a network with one score, cut off, so that the score is the logit before it."""

import copy
import logging
import operator
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from whyport.exporter.graphs.outputs import Place
from whyport.exporter.verify.tolerances import TOLERANCES

logger = logging.getLogger(__name__)

_SIGMOIDS = {torch.sigmoid, torch.special.expit, nn.functional.sigmoid, "sigmoid"}
_MOVES = {torch.squeeze, torch.unsqueeze, torch.flatten, torch.reshape, "squeeze", "unsqueeze", "flatten", "reshape"}
_MOVES |= {"view", "contiguous", "float"}
"""Functions, and methods by name, that only move elements."""


def without_sigmoid(network: nn.Module, rows: Tensor, place: Place) -> nn.Module:
    """The network without the sigmoid that is its last step; the network itself where none is seen.

    Args:
        network: a copy of the user's; it is changed.
        rows: prepared rows [N, F], to see that the sigmoid is all that went.
        place: the place of the score in what the network gives.
    """
    cut = _cut(copy.deepcopy(network), place)
    if cut is None:
        return network
    with torch.no_grad():
        before, after = place.of(network(rows)), place.of(cut(rows))
    if not torch.allclose(torch.sigmoid(after), before, rtol=0, atol=TOLERANCES["outputs"]):
        return network
    logger.info("the network's last step, a sigmoid, is cut off: the score is the logit before it")
    return cut


@final
class _Shallow(fx.Tracer):
    """Traces one module's own forward; the modules inside stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _cut(module: nn.Module, place: Place) -> nn.Module | None:
    """The module without its final sigmoid; None where its forward cannot be traced, or does not end in one."""
    if isinstance(module, nn.Sigmoid):
        return nn.Identity()
    try:
        graph = _Shallow().trace(module)
        last = place.of(graph.output_node().args[0])
    except Exception:  # a forward with branches on values, or outputs that a trace cannot hold
        return None
    while isinstance(last, fx.Node) and _moves(last):
        last = last.args[0]
    if not isinstance(last, fx.Node):
        return None
    if last.op == "call_module":
        inner = None
        if [node.target for node in graph.nodes if node.op == "call_module"].count(last.target) == 1:
            inner = _cut(module.get_submodule(str(last.target)), Place())
        if inner is not None:
            module.set_submodule(str(last.target), inner)
        return module if inner is not None else None
    if last.op not in ("call_function", "call_method") or last.target not in _SIGMOIDS:
        return None
    last.replace_all_uses_with(_argument(last))
    graph.erase_node(last)
    return fx.GraphModule(module, graph).eval()


def _moves(node: fx.Node) -> bool:
    """Whether a step only moves elements of a tensor."""
    picks = node.target is operator.getitem and not isinstance(node.args[1], int | str)
    return node.op in ("call_function", "call_method") and (node.target in _MOVES or picks)


def _argument(node: fx.Node) -> Any:
    return node.args[0] if node.args else node.kwargs["input"]
