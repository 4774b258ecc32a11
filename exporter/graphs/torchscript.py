"""Compiles a graph to TorchScript: scripted where possible, traced where not.

TorchScript is deprecated upstream; everything that calls it, and the filter of its deprecation warnings, is here.
"""

import copy
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from whyport.exporter.graphs.fast_path import no_fast_path
from whyport.exporter.graphs.graph import Graph, capability
from whyport.exporter.graphs.taps import TappedGraph
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.layers import Layer
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.parity import deviation

logger = logging.getLogger(__name__)


def compile_torchscript(graph: Graph, rows: Tensor, *, scriptable: bool = True) -> bytes:
    """model.pt: the graph with its methods, on the CPU, in evaluation mode, differentiable in the input.

    Args:
        graph: the graph in eager mode.
        rows: raw rows [N, F] float32, to trace where scripting is not possible.
        scriptable: whether to try scripting; where it is known to fail, the graph is traced at once.

    Raises:
        ExportError: the graph can be neither scripted nor traced.
    """
    module = copy.deepcopy(graph.module).eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            # So that a consumer can put the recurrent layers alone into training mode, which cuDNN's backward needs.
            part.dropout = 0.0
    if graph.layers:
        module.layers = trace_layers(module, graph, rows)
    if scriptable:
        try:
            return _script(module, graph, rows)
        except Exception as error:
            logger.info("the graph cannot be scripted and is traced instead: %s", first_line(error))
    return _trace(module, graph, rows)


def load_torchscript(content: bytes) -> Any:
    """The compiled module of `compile_torchscript`."""
    with quiet():
        return torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]


def check_layers(graph: Graph, rows: Tensor) -> Graph:
    """The graph, without its layers where their maps cannot be traced.

    Args:
        graph: the graph in eager mode.
        rows: three or more raw rows [N, F] float32, to trace with; fewer of them are scored.
    """
    if not graph.layers:
        return graph
    try:
        traced = trace_layers(copy.deepcopy(graph.module), graph, rows)
        some = rows[:2]
        for zeros in ([torch.empty(0)] * len(graph.layers), zeros_of(graph.layers, len(some))):
            with torch.no_grad():
                for got, wanted in zip(traced(some, zeros), graph.module(some), strict=False):
                    if not deviation(got.numpy(), wanted.numpy()) <= TOLERANCES["outputs"]:
                        raise ExportError("the scores are others than the network's")
    except Exception as error:
        lost = capability(f"the maps of the network's convolutions cannot be traced: {first_line(error)}")
        return replace(graph, layers=(), capabilities=graph.capabilities | {"grad-cam": lost})
    return graph


def trace_layers(module: nn.Module, graph: Graph, rows: Tensor) -> Any:
    """The method `layers` of model.pt, see `graphs.taps`: it shares the module's weights."""
    with quiet(), no_fast_path():
        tapped = TappedGraph(module, split=graph.split, tap=torch.jit.script(tap)).eval()
        inputs = (rows, zeros_of(graph.layers, len(rows)))
        return torch.jit.trace(tapped, inputs, check_trace=False)  # type: ignore[no-untyped-call]


def zeros_of(layers: Sequence[Layer], rows: int) -> list[Tensor]:
    """What the maps of every layer are tapped with."""
    return [torch.zeros(rows, layer.channels, 1, 1) for layer in layers]


def tap(maps: Tensor, zeros: Tensor) -> tuple[Tensor, Tensor]:
    """Maps plus zeros, and the maps; where the zeros are empty, the maps as they are. Scripting keeps the branch."""
    if zeros.numel() == 0:
        return maps, zeros
    return maps + zeros, maps


def _script(module: nn.Module, graph: Graph, rows: Tensor) -> bytes:
    """The scripted module; any exception where it cannot be scripted, saved or run, or gives something else.

    A method with `torch.jit.ignore` scripts and cannot be saved. One with `torch.jit.unused` can be saved, and raises
    when it runs. A branch for `torch.jit.is_scripting` may compute something else.
    """
    with quiet():
        scripted = torch.jit.script(module)
        content = _save(scripted)
    with torch.no_grad():
        for name, got, wanted in zip(graph.names, scripted(rows), module(rows), strict=True):
            off = deviation(got.numpy(), wanted.numpy())
            if not off <= TOLERANCES["outputs"]:
                raise ExportError(f"{name} of the scripted graph are {off:.3g} off")
    return content


def _trace(module: nn.Module, graph: Graph, rows: Tensor) -> bytes:
    inputs = {"forward": (rows,)}
    try:
        with quiet(), no_fast_path():
            if graph.split:
                inputs |= {"features": (rows,), "classify": (module.features(rows),)}  # type: ignore[operator]
            if graph.encoding:
                inputs |= {"cells": (rows,), "scored": (module.cells(rows),)}  # type: ignore[operator]
            # The comparison of every engine on other rows and other batch sizes replaces the tracer's own check.
            return _save(torch.jit.trace_module(module, inputs, check_trace=False))  # type: ignore[no-untyped-call]
    except Exception as error:
        raise ExportError(f"the network can be neither scripted nor traced: {first_line(error)}") from error


def _save(compiled: Any) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(compiled, buffer)
    return without_debug_records(buffer.getvalue())


def without_debug_records(content: bytes) -> bytes:
    """The archive without its source locations: they hold paths of this machine, and a third of the size."""
    source = zipfile.ZipFile(io.BytesIO(content))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))
    return buffer.getvalue()


@contextmanager
def quiet() -> Iterator[None]:
    """Without TorchScript's deprecation warnings, and the tracer's."""
    with warnings.catch_warnings():
        # Tracing reads every attribute of a network, also those that its author has deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        # What a trace bakes in shows when the engines are compared.
        warnings.filterwarnings("ignore", category=TracerWarning)
        yield
