"""A network as the core ATen operators that take one row to its logits.

The network is exported for a batch of exactly one row, so that every shape is static; the program puts its own axes
(the rows, or classes x rows x references) in front of these shapes.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from whyport.exporter.deepshap import arithmetic, logic
from whyport.exporter.deepshap.decompositions import DECOMPOSITIONS
from whyport.exporter.deepshap.sizes import settle_sizes
from whyport.exporter.graphs.fast_path import no_fast_path
from whyport.exporter.graphs.layers import WholeLayers
from whyport.runtime.errors import ExportError, first_line

aten = torch.ops.aten


@dataclass(frozen=True)
class RowGraph:
    """The operators between one row [1, F] and its logits [1, C], in order."""

    nodes: list[fx.Node]
    """Every call that the logits depend on."""
    row: fx.Node
    logits: fx.Node
    constants: dict[fx.Node, Tensor]
    """Parameters, buffers and constants by their placeholder."""


def export_row(module: nn.Module, rows: Tensor, *, fused: bool = True) -> RowGraph:
    """Export a network whose first output is the logits.

    Args:
        module: raw rows [N, F] to logits [N, C], alone or first in a tuple; in evaluation mode.
        rows: one or more rows [N, F].
        fused: keep each recurrent layer whole; otherwise it is unrolled into single operators.

    Raises:
        ExportError: torch.export cannot take the network.
    """
    try:
        with _quiet(), no_fast_path(), sdpa_kernel(SDPBackend.MATH):
            with WholeLayers() if fused else nullcontext():
                exported = torch.export.export(module, (rows[:1].clone(),))
            exported = exported.run_decompositions(dict(_table(fused)))
    except Exception as error:
        raise ExportError(f"torch.export cannot take the network: {first_line(error)}") from error
    tensors: dict[str, Tensor] = {**exported.state_dict, **exported.constants}
    signature = exported.graph_signature
    sources = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    constants = {node: tensors[sources[node.name]] for node in exported.graph.nodes if node.name in sources}
    (row,) = (node for node in exported.graph.nodes if node.name in signature.user_inputs)
    logits = exported.graph.output_node().args[0][0]
    nodes = _ancestors(exported.graph, logits)
    settle_sizes(nodes, constants)
    return RowGraph(nodes, row, logits, constants)


def _ancestors(graph: fx.Graph, logits: fx.Node) -> list[fx.Node]:
    """The calls that the logits depend on, in the graph's order."""
    wanted = {logits}
    for node in reversed(graph.nodes):
        if node in wanted:
            wanted.update(node.all_input_nodes)
    return [node for node in graph.nodes if node in wanted and node.op == "call_function"]


@cache
def _table(fused: bool) -> dict[torch._ops.OperatorBase, Callable[..., Any]]:
    table = dict(torch.export.default_decompositions())
    table.update(DECOMPOSITIONS)
    table.update(arithmetic.DECOMPOSITIONS)
    table.update(logic.DECOMPOSITIONS)
    for operator in (*_WHOLE, *(_LAYERS if fused else ())):
        table.pop(operator, None)
    return table


# Their decompositions choose a branch by the data, or are less exact than a rule for the whole function.
_WHOLE = (
    *(aten.softplus.default, aten.silu.default, aten.celu.default, aten.prelu.default),
    *(aten.logsumexp.default, aten.nan_to_num.default, aten.logit.default),
    aten._safe_softmax.default,
    *(aten.upsample_nearest1d.vec, aten.upsample_nearest3d.vec),
    *(aten._upsample_nearest_exact1d.vec, aten._upsample_nearest_exact2d.vec, aten._upsample_nearest_exact3d.vec),
    *(aten.upsample_linear1d.vec, aten.upsample_trilinear3d.vec, aten.upsample_bicubic2d.vec),
)

# What `WholeLayers` leaves of them has no rule.
_LAYERS = (aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"The tensor attributes? .*_flat_weights", UserWarning)
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        yield
