"""ONNX files as models of a bundle: explained where an importer can make a network of them."""

import dataclasses
import logging
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from whyport.exporter.data.samples import CONFORMANCE_ROWS, PROBE, TRACE
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import Compiled, OnnxFile, TorchScriptFile
from whyport.exporter.graphs.conform import conform
from whyport.exporter.graphs.graph import Graph, build_graph, capability
from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.graphs.pruning import prune
from whyport.exporter.graphs.torchscript import check_layers, compile_torchscript
from whyport.exporter.networks.importer import import_network
from whyport.exporter.networks.logits import before_both, before_sigmoid, before_softmax
from whyport.exporter.networks.lower import lower
from whyport.exporter.verify.engines import onnx_outputs, torch_outputs
from whyport.exporter.verify.outputs import PROBE_ROWS, measure, run_engine
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.errors import ExportError, ParityError, WhyportError, first_line
from whyport.runtime.parity import deviation
from whyport.runtime.task import Classification

logger = logging.getLogger(__name__)

NO_ATTENTION = capability("no attention weights are taken from an ONNX graph")

LOWERED = 1e-3
"""How far plain operators may be from those that they replace: a sum over many support vectors rounds that much."""


def compile_onnx_network(model: onnx.ModelProto, draft: Draft, scores: str) -> Compiled:
    """An ONNX model with one input [N, F] as a bundle's: with gradients where it is a network that can be imported.

    A classifier that ends in a softmax or a sigmoid has the tensor before it as its score, unless probabilities are
    the scores. What cannot be imported predicts; its capabilities say why it is not differentiated.

    Args:
        model: the model; it is changed.
        draft: what is known of the bundle.
        scores: the output with the scores.

    Raises:
        ParityError: the model fails on rows of the sample.
        ExportError: it gives no scores.
    """
    task = type(draft.task)
    rows = draft.probes(CONFORMANCE_ROWS, TRACE)
    given = lower(model, scores)
    values = score_values(model, draft, scores)
    if given is not model and not _agree(values, _values(given, [scores], rows)[0], LOWERED):
        given = model
    if task is Classification and (logits := _find_logits(given, scores, rows, values)) is not None:
        scores, values = logits
    network = _import(given, draft, scores)
    compiled = _conformed(given, draft, scores, values.shape[1:], network)
    if given is not model:
        prune(given.graph)
    if isinstance(network, str):
        logger.info("the bundle will predict, and explain by forward passes alone: %s", network)
    else:
        compiled = _with_network(compiled, draft, network)
    if draft.given:
        take_inputs(compiled.onnx.model, draft.given)
        compiled = dataclasses.replace(compiled, onnx=OnnxFile(compiled.onnx.model))
    return compiled


def compile_forward(model: onnx.ModelProto, draft: Draft, scores: str, reason: str) -> Compiled:
    """An ONNX model as `compile_onnx_network` makes it, but without a network, and with its operators as they are.

    Args:
        model: the model; it is changed.
        draft: what is known of the bundle.
        scores: the output with the scores.
        reason: why there are no gradients.

    Raises what `compile_onnx_network` does.
    """
    values = score_values(model, draft, scores)
    rows = draft.probes(CONFORMANCE_ROWS, TRACE)
    if type(draft.task) is Classification and (logits := _find_logits(model, scores, rows, values)) is not None:
        scores, values = logits
    return _conformed(model, draft, scores, values.shape[1:], reason)


def score_values(model: onnx.ModelProto, draft: Draft, scores: str) -> NDArray[Any]:
    """The scores of some rows, [N, K] or [N].

    Raises:
        ParityError: the model fails on rows of the sample.
        ExportError: it gives no scores.
    """
    rows = draft.probes(CONFORMANCE_ROWS, TRACE)
    values = _values(model, [scores], rows)[0]
    if values.ndim not in (1, 2) or len(values) != len(rows) or 0 in values.shape:
        title, got = draft.task.targets_title, list(values.shape)
        raise ExportError(f"output {scores!r}: expected [N, {title}], got {got} for {len(rows)} rows")
    return values


def _conformed(
    model: onnx.ModelProto, draft: Draft, scores: str, shape: tuple[int, ...], network: Graph | str
) -> Compiled:
    """The model, changed to give the task's outputs of scores [N, *shape], without its network."""
    task = type(draft.task)
    outputs = conform(model, scores, len(draft.features), shape, task)
    one_logit = task is Classification and shape in ((), (1,))
    return Compiled(outputs, _no_gradients(network), OnnxFile(model), one_logit=one_logit)


def _values(model: onnx.ModelProto, names: list[str], rows: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Tensors of a model for rows [N, F], whether they are outputs or not."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    known = {value.name for value in shown.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    engine = onnx_outputs(open_onnx(shown.SerializeToString()), names)
    try:
        given = run_engine("the model", engine, rows, len(rows))
    except ParityError as error:
        raise ParityError(f"{error}; if a batch size is baked into it, export it with a dynamic batch axis") from error
    return [given[name] for name in names]


def _agree(got: NDArray[Any], expected: NDArray[Any], tolerance: float = TOLERANCES["outputs"]) -> bool:
    return got.shape == expected.shape and deviation(got, expected) <= tolerance


def _find_logits(
    model: onnx.ModelProto, scores: str, rows: NDArray[np.float32], values: NDArray[Any]
) -> tuple[str, NDArray[Any]] | None:
    """The name and values of the logits behind probabilities; None where the scores are none, or no step is seen."""
    one = values.ndim == 1 or values.shape[1] == 1
    for find in (before_sigmoid,) if one else (before_softmax, before_both):
        if (name := find(model.graph, scores)) is not None:
            logits = _values(model, [name], rows)[0]
            chances = _probabilities(logits, values.shape)
            if chances is not None and _agree(chances, values):
                step = "softmax" if find is before_softmax else "sigmoid"
                logger.info("the model's last step, a %s, is cut off: the score is the logit before it", step)
                return name, logits
    return None


def _probabilities(logits: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """The probabilities of logits, in the shape that the model gives them; None where these are not of a kind."""
    wide = torch.from_numpy(logits.astype(np.float64))
    if logits.shape == shape and len(shape) == 2 and shape[1] > 1:
        return torch.softmax(wide, 1).numpy()
    second = torch.sigmoid(wide)
    if logits.shape == shape:
        return second.numpy()
    if logits.size != len(logits) or len(shape) != 2 or shape[1] != 2:
        return None
    second = second.reshape(-1, 1)
    return torch.cat([1 - second, second], 1).numpy()


def _import(model: onnx.ModelProto, draft: Draft, scores: str) -> Graph | str:
    """The network in eager mode, as it is behind the rows of a bundle; or why there is none."""
    if draft.encoding is not None:
        return "its columns of categories are encoded inside the ONNX file"
    rows = draft.trace_rows()
    try:
        imported = import_network(model, scores, rows)
        graph = build_graph(imported.network, nn.Sequential(), rows, type(draft.task), inputs=draft.inputs)
    except WhyportError as error:
        return str(error)
    except Exception as error:  # whatever PyTorch raises on what ONNX Runtime computes
        return f"the ONNX file cannot be imported: {first_line(error)}"
    graph = check_layers(graph, rows)
    if not imported.no_split or graph.layers:
        return graph
    cam = capability(imported.no_split)
    return dataclasses.replace(graph, capabilities=graph.capabilities | {"grad-cam": cam})


def _with_network(compiled: Compiled, draft: Draft, graph: Graph) -> Compiled:
    """The model with its network, where that computes what ONNX Runtime does."""
    rows = draft.probes(PROBE_ROWS, PROBE)
    try:
        engine = onnx_outputs(compiled.onnx.session, compiled.names)
        expected = run_engine("the model", engine, rows, len(rows))
        torchscript = _torchscript(graph, draft) if graph.differentiable else None
        modules = {"the imported network": graph.whole}
        if torchscript is not None:
            modules["the imported network in TorchScript"] = torchscript.module
        for name, module in modules.items():
            measure(name, torch_outputs(module, compiled.names), rows, expected, TOLERANCES["outputs"])
    except WhyportError as error:
        logger.warning("the bundle will predict, and explain by forward passes alone: %s", error)
        return dataclasses.replace(compiled, capabilities=_no_gradients(str(error)))
    return dataclasses.replace(
        compiled,
        capabilities=graph.capabilities | {"attention": NO_ATTENTION},
        graph=graph,
        torchscript=torchscript,
    )


def _torchscript(graph: Graph, draft: Draft) -> TorchScriptFile:
    # A chain of imported operators has no source that could be scripted.
    return TorchScriptFile(compile_torchscript(graph, draft.trace_rows(), scriptable=False))


def _no_gradients(reason: Graph | str) -> dict[str, Capability]:
    obstacle = capability(reason if isinstance(reason, str) else "")
    return {"gradients": obstacle, "grad-cam": obstacle, "deepshap": obstacle, "attention": NO_ATTENTION}
