"""Compiles explain.onnx and gradient.onnx."""

import logging
from dataclasses import dataclass

import onnx
import torch
from torch import nn

from whyport.exporter.data import samples
from whyport.exporter.deepshap.program import Program
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import OnnxFile
from whyport.exporter.graphs.graph import Graph, capability
from whyport.exporter.graphs.onnx import export_lean
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.reasons.budget import check_time, check_values
from whyport.exporter.reasons.graphs import REFERENCES, ExplainGraph, GradientGraph
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.reasons.summary import summarise
from whyport.runtime.bundle.graphs import KINDS, TARGET_INDEX, capability_of, reasons_inputs, reasons_outputs
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Baseline, Capability
from whyport.runtime.errors import ExportError

logger = logging.getLogger(__name__)

NO_DERIVATIVE = "a category has no derivative; model.pt gives the gradients of its cells"
"""Why a table with categories has no gradient.onnx."""
SAMPLE_ROWS = 40
"""Rows to fit the summary with, and as many to measure its distance on."""


@dataclass(frozen=True)
class PortableGraphs:
    """The graphs that give reasons without PyTorch."""

    files: dict[str, OnnxFile]
    """By their names in the bundle."""
    capabilities: dict[str, Capability]
    references: References | None = None
    """The references inside explain.onnx."""
    summary: Baseline | None = None


def compile_portable(draft: Draft, graph: Graph, program: Program, opset: int) -> PortableGraphs:
    """The graphs, or why there are none.

    Args:
        draft: what is known of the bundle.
        graph: the graph in eager mode.
        program: DeepSHAP's, of the same network.
        opset: version of the default operator set.
    """
    if draft.summary == 0:
        return no_graphs("it was left out, by --explain-references 0")
    try:
        check_time("a portable graph", len(program.steps))
    except ExportError as error:
        return no_graphs(left_out("explain.onnx and gradient.onnx", error).reason)
    imputation = draft.imputation
    files, capabilities = {}, dict(no_graphs(graph.capabilities["gradients"].reason).capabilities)
    graphs: dict[str, nn.Module] = {}
    references = summary = None
    try:
        references = draft.chosen
        if references is None:
            logger.info("choosing the references of %s", EXPLAIN_MODEL)
            references, summary = _summarise(program, draft)
        graphs[EXPLAIN_MODEL] = ExplainGraph(program, imputation, draft.task, graph.head, references, draft.lengths)
    except Exception as error:  # of another package, on numbers that nobody has thought of
        capabilities[capability_of(EXPLAIN_MODEL)] = left_out(capability_of(EXPLAIN_MODEL), error)
    if graph.encoding:
        capabilities[capability_of(GRADIENT_MODEL)] = capability(NO_DERIVATIVE)
    elif graph.differentiable:
        graphs[GRADIENT_MODEL] = GradientGraph(program, imputation, draft.task, graph.head)
    for name, module in graphs.items():
        served = capability_of(name)
        try:
            logger.info("compiling %s", name)
            files[name] = OnnxFile(_export(name, module, draft, graph, opset))
            capabilities[served] = capability("")
        except Exception as error:  # whatever the exporter to ONNX raises
            capabilities[served] = left_out(served, error)
    if EXPLAIN_MODEL not in files:
        return PortableGraphs(files, capabilities)
    return PortableGraphs(files, capabilities, references, summary)


def no_graphs(reason: str) -> PortableGraphs:
    """None of the graphs, and why."""
    return PortableGraphs({}, {capability_of(file): capability(reason) for file in KINDS})


def _summarise(program: Program, draft: Draft) -> tuple[References, Baseline]:
    fitted, held_out = (
        draft.of_one_length(draft.impute(draft.probes(SAMPLE_ROWS, stream)), full=True)
        for stream in (samples.FITTED, samples.HELD_OUT)
    )
    return summarise(program, draft, (fitted, held_out))


def _export(name: str, module: nn.Module, draft: Draft, graph: Graph, opset: int) -> onnx.ModelProto:
    rows = torch.from_numpy(draft.of_one_length(draft.trace_rows().numpy()))
    inputs = {INPUT: rows, TARGET_INDEX.name: torch.arange(len(rows)) % (len(draft.targets) + 1) - 1}
    scores = [spec for spec in graph.outputs if spec.name in draft.task.outputs]
    outputs = [spec.name for spec in reasons_outputs(name, scores, len(draft.features))]
    unfolded = [REFERENCES] if name == EXPLAIN_MODEL else []
    check_values(name, module.eval(), [tensor[:1] for tensor in inputs.values()])
    model = export_lean(module, inputs, outputs, opset, unfolded)
    take_inputs(model, draft.inputs, reasons_inputs)
    return model
