"""Everything that goes into a bundle, in memory: sidecar and files, made and verified."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from whyport.exporter.data import samples
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.graph import INPUT, Graph, capability
from whyport.exporter.graphs.onnx import default_opset, finish
from whyport.exporter.graphs.torchscript import compile_torchscript
from whyport.exporter.reasons.compile import Reasons, compile_reasons, no_reasons
from whyport.exporter.reasons.program import compile_explanation
from whyport.exporter.verify.engines import onnx_outputs, torch_gradients, torch_outputs
from whyport.exporter.verify.outputs import BATCH_SIZES, PROBE_ROWS, verify_graph, verify_onnx
from whyport.exporter.verify.reasons import (
    attributions_by_torchscript,
    explained_classes,
    verify_explain,
    verify_gradient,
)
from whyport.runtime.bundle.graphs import CLASS_INDEX, EXPLAINED_CLASS
from whyport.runtime.bundle.references import WEIGHT, References
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    CONFORMANCE,
    CONFORMANCE_JSON,
    DEEPSHAP_MODEL,
    EXPLAIN_MODEL,
    FORMAT_VERSION,
    GRADIENT_MODEL,
    ONNX_MODEL,
    SUMMARY,
    TORCHSCRIPT_MODEL,
    Capability,
    Parity,
    Sidecar,
    Summary,
    Tolerances,
)
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.vectors import to_json, to_parquet
from whyport.runtime.errors import ExportError

TOLERANCES = Tolerances(outputs=1e-4, gradients=1e-4, attributions=1e-4, completeness=1e-4)
EXPLAINED_ROWS = 16


@dataclass(frozen=True)
class Package:
    """A verified bundle that is not written yet."""

    sidecar: Sidecar
    files: dict[str, bytes] = field(repr=False)
    """Content by path inside the bundle."""


def package_graph(draft: Draft, graph: Graph, model: onnx.ModelProto, extras: Mapping[str, bytes]) -> Package:
    """Compile the rest, verify, and collect the files.

    Args:
        draft: what is known of the bundle.
        graph: the graph in eager mode.
        model: the same graph as ONNX.
        extras: further files by path inside the bundle.

    Raises:
        ExportError: the graph cannot be compiled; ParityError: the engines do not agree about its outputs.
    """
    torchscript = compile_torchscript(graph, draft.trace_rows()) if graph.differentiable else None
    probes = draft.probes(PROBE_ROWS, samples.PROBE)
    parity = verify_graph(
        graph, torchscript, model.SerializeToString(), probes, draft.features, draft.classes, TOLERANCES
    )
    # Once it is sure that there will be a bundle: this takes longer than all the rest.
    finite = draft.impute(draft.trace_rows().numpy()), draft.impute(draft.probes(EXPLAINED_ROWS, samples.PROBE))
    explanation, deepshap = compile_explanation(graph, *finite)
    if explanation is None:
        reasons = no_reasons(deepshap.reason)
    else:
        reasons = compile_reasons(draft, graph, explanation.program, default_opset(model))
    capabilities = graph.capabilities | {"deepshap": deepshap} | reasons.capabilities
    sidecar = describe(draft, graph.outputs, capabilities, model, reasons.summary)
    models = {ONNX_MODEL: model, **reasons.models}
    onnx_files = {name: finish(each, sidecar.embedded()) for name, each in models.items()}
    compiled = {TORCHSCRIPT_MODEL: torchscript, DEEPSHAP_MODEL: explanation.content if explanation else None}
    files = onnx_files | {name: content for name, content in compiled.items() if content is not None}
    parity = _verify_reasons(draft, files, probes, reasons, parity)
    rows = draft.probes(samples.CONFORMANCE_ROWS, samples.CONFORMANCE)
    vectors = _vectors(rows, torch_outputs(graph.module, [spec.name for spec in graph.outputs])(rows))
    vectors |= _reasons_of(draft, graph, files, reasons, vectors)
    return _collect(
        draft, dataclasses.replace(sidecar, parity=parity), vectors, {**files, **extras}, reasons.references
    )


def package_onnx(draft: Draft, outputs: tuple[TensorSpec, ...], model: onnx.ModelProto) -> Package:
    """As `package_graph`, for an ONNX model that is all there is."""
    reason = "the bundle was made from an ONNX file, which has no gradients"
    compiled = "it is compiled from PyTorch modules"
    capabilities = {
        "gradients": capability(reason),
        "grad-cam": capability(reason),
        "deepshap": capability(compiled),
        "attention": capability("only logits and probabilities are taken from an ONNX file"),
        **no_reasons(compiled).capabilities,
    }
    sidecar = describe(draft, outputs, capabilities, model)
    onnx_file = finish(model, sidecar.embedded())
    names = [spec.name for spec in outputs]
    parity = verify_onnx(onnx_file, names, draft.probes(PROBE_ROWS, samples.PROBE), TOLERANCES.outputs)
    rows = draft.probes(samples.CONFORMANCE_ROWS, samples.CONFORMANCE)
    vectors = _vectors(rows, onnx_outputs(onnx_file, names)(rows))
    return _collect(draft, dataclasses.replace(sidecar, parity=parity), vectors, {ONNX_MODEL: onnx_file}, None)


def describe(
    draft: Draft,
    outputs: tuple[TensorSpec, ...],
    capabilities: dict[str, Capability],
    model: onnx.ModelProto,
    summary: Summary | None = None,
) -> Sidecar:
    """The sidecar, with parity and digests still to come."""
    logits = outputs[0].row_shape()
    if logits != (len(draft.classes),):
        raise ExportError(f"expected a logit for each of the {len(draft.classes)} classes, got {logits[0]} a row")
    return Sidecar(
        format_version=FORMAT_VERSION,
        name=draft.name,
        task=draft.task_name,
        signature=draft.signature(outputs),
        classes=draft.classes,
        features=draft.features,
        preprocessing=draft.preprocessing,
        capabilities=capabilities,
        background=BACKGROUND,
        summary=summary,
        opset=default_opset(model),
        ir_version=model.ir_version,
        tolerances=TOLERANCES,
        provenance=draft.provenance,
        parity=Parity(BATCH_SIZES),
        files={},
    )


def versions() -> dict[str, str]:
    """The versions that a bundle depends on."""
    packages = ("whyport", "torch", "onnx")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def _verify_reasons(
    draft: Draft, files: Mapping[str, bytes], probes: NDArray[np.float32], reasons: Reasons, parity: Parity
) -> Parity:
    """The parity with that of explain.onnx and gradient.onnx, where the bundle has them."""
    spread = np.array([feature.standard_deviation for feature in draft.features])
    if EXPLAIN_MODEL in files and reasons.references is not None:
        exact = attributions_by_torchscript(files[DEEPSHAP_MODEL], draft.impute(probes), reasons.references)
        measured = verify_explain(files[EXPLAIN_MODEL], probes, exact, TOLERANCES)
        parity = dataclasses.replace(
            parity,
            explain_outputs=measured.outputs,
            explain_attributions=measured.reasons,
            explain_completeness=measured.completeness,
        )
    if GRADIENT_MODEL in files:
        measured = verify_gradient(files[GRADIENT_MODEL], probes, files[TORCHSCRIPT_MODEL], spread, TOLERANCES)
        parity = dataclasses.replace(parity, gradient_outputs=measured.outputs, gradient_gradients=measured.reasons)
    return parity


def _vectors(rows: NDArray[np.float32], outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    logits = outputs["logits"]
    index = explained_classes(len(rows), logits.shape[1])
    explained = np.where(index < 0, logits.argmax(axis=1), index)
    return {INPUT: rows, CLASS_INDEX.name: index, **outputs, EXPLAINED_CLASS.name: explained}


def _reasons_of(
    draft: Draft, graph: Graph, files: Mapping[str, bytes], reasons: Reasons, vectors: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The test vectors of attributions and gradients, where the bundle has them."""
    rows, explained = vectors[INPUT], vectors[EXPLAINED_CLASS.name]
    each = np.arange(len(rows)), explained
    made: dict[str, NDArray[Any]] = {}
    if EXPLAIN_MODEL in files and reasons.references is not None:
        exact = attributions_by_torchscript(files[DEEPSHAP_MODEL], draft.impute(rows), reasons.references)
        difference = exact.logits[each] - exact.base_values[explained]
        attribution = exact.attributions[each]
        made = {
            "score": exact.logits[each],
            "base_value": exact.base_values[explained],
            "attribution": attribution,
            "completeness_error": np.abs(attribution.sum(axis=1) - difference),
        }
        made = {name: values.astype(np.float32) for name, values in made.items()}
    if graph.differentiable:
        per_unit = np.ones(len(draft.features), dtype=np.float32)
        of_class = torch_gradients(graph.module, draft.classes, per_unit)(rows)
        made["gradient"] = np.stack(list(of_class.values()), axis=1)[each]
        made.setdefault("score", vectors["logits"][each])
    return made


def _collect(
    draft: Draft,
    sidecar: Sidecar,
    vectors: dict[str, NDArray[Any]],
    files: Mapping[str, bytes],
    summary: References | None,
) -> Package:
    samples_of = {BACKGROUND: draft.background()} | ({SUMMARY: summary} if summary is not None else {})
    made = {
        name: to_parquet({INPUT: references.rows, WEIGHT: references.weights})
        for name, references in samples_of.items()
    }
    made |= {CONFORMANCE: to_parquet(vectors), CONFORMANCE_JSON: to_json(vectors, sidecar)}
    return Package(sidecar=sidecar, files={**files, **made})
