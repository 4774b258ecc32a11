"""PyTorch modules: a factory by name with its weights, or a network in memory."""

import copy
import importlib
from pathlib import Path
from typing import Any, final

import torch
from torch import nn
from torch.nn.utils import parametrize

from whyport.exporter.data.images import pixel_scale
from whyport.exporter.data.input_choice import IMAGE
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import Compiled, OnnxFile, TorchScriptFile
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.lookups import Lookup, find_lookups, without_lookups
from whyport.exporter.graphs.network_inputs import TakeInputs, positional_arguments, taking
from whyport.exporter.graphs.onnx import DEFAULT_OPSET, compile_onnx
from whyport.exporter.graphs.pixels import PixelScale
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.graphs.torchscript import check_layers, compile_torchscript
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.kinds.kind import Kind
from whyport.runtime.errors import ExportError, UsageError, first_line


@final
class PyTorchModule(Kind):
    """A torch.nn.Module that a factory gave."""

    options = frozenset({"--weights", "--impute", "--standardise", "--opset"})

    @property
    def label(self) -> str:
        return self.source.source

    @property
    def file(self) -> Path | None:
        return self.source.weights

    def facts(self, columns: tuple[str, ...]) -> ModelFacts:
        return ModelFacts(arguments=positional_arguments(self.model))

    def compile(self, draft: Draft) -> Compiled:
        if self.source.weights is not None:
            load_weights(self.model, self.source.weights)
        network = with_plain_weights(self.model)
        if draft.lookups:
            network = without_lookups(network, draft.lookups)
        taken = taking(network, draft.inputs, draft.trace_rows(), self._scales, draft.lookups)
        return compile_network(taken, draft, self.opset, self.source.output)

    def lookups(self, draft: Draft) -> tuple[Lookup, ...]:
        network, rows = with_plain_weights(self.model).eval(), draft.trace_rows()
        taken = taking(network, draft.inputs, rows, self._scales)
        assert isinstance(taken, TakeInputs)
        values, _ = taken.split(rows)
        ids = {each.name: own for each, own in zip(taken.arguments, values, strict=True) if each.are_ids}
        return find_lookups(network, taken, rows, ids)

    @property
    def _scales(self) -> dict[str, PixelScale]:
        return {each.name: pixel_scale(each) for each in self.source.inputs if each.kind == IMAGE}


def compile_network(network: nn.Module, draft: Draft, opset: int | None = None, output: str | None = None) -> Compiled:
    """Compile a network from prepared cells [N, P] to scores [N, K], or to scores and attention weights [N, L, L].

    Args:
        network: the network behind the preprocessing.
        draft: what is known of the bundle; its preprocessing comes before the network.
        opset: ONNX operator set; by default one that every runtime reads.
        output: where the network gives several tensors, the name or position of the scores.

    Raises:
        ExportError: the network gives no scores of the draft's features, or cannot be compiled.
        UsageError: an opset that the runtime does not read, or the exporter does not write.
    """
    rows = draft.trace_rows()
    preprocess = build_preprocessing(draft.features, standardise=draft.standardise, encoding=draft.encoding)
    graph = build_graph(network, preprocess, rows, type(draft.task), draft.encoding, output, draft.inputs)
    graph = check_layers(graph, rows)
    model = compile_onnx(graph, rows, opset or DEFAULT_OPSET)
    take_inputs(model, draft.inputs)
    torchscript = TorchScriptFile(compile_torchscript(graph, rows)) if graph.differentiable else None
    return Compiled(graph.outputs, graph.capabilities, OnnxFile(model), graph, torchscript, graph.one_logit)


def with_plain_weights(network: nn.Module) -> nn.Module:
    """A copy whose parametrized weights are computed once; the network itself where it has none.

    A graph would compute them for every row, and ONNX has no operator for some, as for an orthogonal matrix.
    """
    if not any(parametrize.is_parametrized(module) for module in network.modules()):
        return network
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if parametrize.is_parametrized(module):
            names = list(module.parametrizations)  # type: ignore[arg-type]
            weights = {name: getattr(module, name).detach().clone() for name in names}
            # PyTorch's own way changes the class, which the copy shares with the network.
            del module.parametrizations
            module.__class__ = type(module).__bases__[0]
            for name, weight in weights.items():
                module.register_parameter(name, nn.Parameter(weight))
    return network


def load_weights(network: nn.Module, file: Path) -> None:
    """Load a state dict without running any code of the file.

    Raises UsageError where there is no such file, ExportError where it is no state dict or not this network's.
    """
    if not file.is_file():
        raise UsageError(f"weights: there is no file {str(file)!r}")
    state = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ExportError(f"weights {file.name}: expected a state dict, tensors by name, got {type(state).__name__}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        message = " ".join(str(error).split())
        raise ExportError(f"weights {file.name} do not fit the network: {message}") from error


def _read_torch(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in any way
        raise ExportError(
            f"weights {file.name}: expected tensors only, as torch.save(network.state_dict(), file) writes them: "
            f"{first_line(error)}"
        ) from error


def _read_safetensors(file: Path) -> Any:
    try:
        safetensors = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError:
        raise UsageError(f"weights {file.name}: this needs the package: pip install safetensors") from None
    return safetensors.load_file(file)
