"""A compiled model: the content of its files together with the engines that run them, each opened once."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import onnx

from whyport.exporter.graphs.graph import Graph
from whyport.exporter.graphs.onnx import finish, open_onnx
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.trees import Trees


@dataclass(frozen=True)
class TorchScriptFile:
    """A TorchScript file, and the module that it loads as."""

    content: bytes
    in_float64: bool = False
    """Whether the module computes in float64."""

    @cached_property
    def module(self) -> Any:
        """The loaded module, on the CPU."""
        module = load_torchscript(self.content)
        return module.double() if self.in_float64 else module


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file, and the session that runs it."""

    model: onnx.ModelProto

    @cached_property
    def session(self) -> Any:
        """ONNX Runtime's session on the CPU; ExportError where the model cannot be loaded."""
        return open_onnx(self.model.SerializeToString())

    def finish(self, metadata: str) -> bytes:
        """The file's content with the metadata inside, see `graphs.onnx.finish`."""
        return finish(self.model, metadata)


@dataclass(frozen=True)
class Compiled:
    """A model compiled by its kind."""

    outputs: tuple[TensorSpec, ...]
    capabilities: dict[str, Capability]
    """All but what is compiled from `graph` afterwards; without a graph, "deepshap" says why there is none."""
    onnx: OnnxFile
    """model.onnx"""
    graph: Graph | None = None
    """The graph in eager PyTorch, which explanations are compiled from; None where there is only ONNX."""
    torchscript: TorchScriptFile | None = None
    """model.pt, where the graph is differentiable."""
    one_logit: bool = False
    """Whether the model itself gives one logit, that of the second of two classes."""
    trees: Trees | None = None
    """The trees whose sum the scores are; None where they are no such sum."""

    @property
    def names(self) -> list[str]:
        """The outputs' names."""
        return [spec.name for spec in self.outputs]

    def without_gradients(self, obstacle: Capability) -> Self:
        """The same, to be used without its gradients; what is missing already keeps its reason."""
        assert self.graph is not None
        lost = {name: obstacle for name in ("gradients", "grad-cam") if self.capabilities[name].available}
        graph = replace(self.graph, capabilities=self.graph.capabilities | lost)
        return replace(self, capabilities=self.capabilities | lost, graph=graph)
