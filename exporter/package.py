"""Everything that goes into a bundle, in memory: sidecar and files, made and verified."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from exporter import samples
from exporter.background import WEIGHT, References
from exporter.engines import onnx_outputs, torch_gradients, torch_outputs
from exporter.explanation import compile_explanation
from exporter.graph import INPUT, Graph, capability
from exporter.onnx_graph import default_opset, finish
from exporter.statistics import impute
from exporter.torchscript import compile_torchscript
from exporter.verify import BATCH_SIZES, PROBE_ROWS, verify_graph, verify_onnx
from runtime.bundle import (
    BACKGROUND,
    CONFORMANCE,
    DEEPSHAP_MODEL,
    FORMAT_VERSION,
    ONNX_MODEL,
    TORCHSCRIPT_MODEL,
    Capability,
    Feature,
    Parity,
    Preprocessing,
    Provenance,
    Sidecar,
    Tolerances,
)
from runtime.errors import ExportError
from runtime.signature import Signature, TensorSpec

TOLERANCES = Tolerances(outputs=1e-4, gradients=1e-4, attributions=1e-4, completeness=1e-4)
TASK = "classification"
EXPLAINED_ROWS = 16


@dataclass(frozen=True)
class Draft:
    """What is known of a bundle before its graphs are compiled."""

    name: str
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    preprocessing: Preprocessing
    provenance: Provenance
    rows: NDArray[np.float32]
    """Training or sample rows that the graphs can take, [N, F], in the features' own units."""
    references: References
    seed: int

    @property
    def imputes(self) -> bool:
        """Whether the graphs take NaN."""
        return self.preprocessing.imputation is not None

    def impute(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows without missing values, as explanations take them."""
        return impute(rows, self.features) if self.imputes else rows

    def probes(self, count: int, stream: int) -> NDArray[np.float32]:
        """Rows like the training rows, see `samples.draw_probes`."""
        return samples.draw_probes(self.rows, count, (self.seed, stream), missing=self.imputes)


@dataclass(frozen=True)
class Package:
    """A verified bundle that is not written yet."""

    sidecar: Sidecar
    files: dict[str, bytes] = field(repr=False)
    """Content by path inside the bundle."""


def trace_rows(draft: Draft) -> torch.Tensor:
    """A few rows to compile with; the engines are compared on others."""
    return torch.from_numpy(draft.probes(5, samples.TRACE))


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
    finite = draft.impute(trace_rows(draft).numpy()), draft.impute(draft.probes(EXPLAINED_ROWS, samples.PROBE))
    explanation, deepshap = compile_explanation(graph, *finite)
    sidecar = describe(draft, graph.outputs, graph.capabilities | {"deepshap": deepshap}, model)
    onnx_file = finish(model, sidecar.embedded())
    torchscript = compile_torchscript(graph, trace_rows(draft)) if graph.differentiable else None
    probes = draft.probes(PROBE_ROWS, samples.PROBE)
    parity = verify_graph(graph, torchscript, onnx_file, probes, draft.features, draft.classes, TOLERANCES)
    rows = draft.probes(samples.CONFORMANCE_ROWS, samples.CONFORMANCE)
    names = [spec.name for spec in graph.outputs]
    vectors = {INPUT: rows, **torch_outputs(graph.module, names)(rows)}
    vectors["explained_class"] = onnx_outputs(onnx_file, names)(rows)["logits"].argmax(axis=1)
    if graph.differentiable:
        per_unit = np.ones(len(draft.features), dtype=np.float32)
        of_class = torch_gradients(graph.module, draft.classes, per_unit)(rows)
        stacked = np.stack(list(of_class.values()), axis=1)
        vectors["gradient"] = stacked[np.arange(len(rows)), vectors["explained_class"]]
    compiled = {ONNX_MODEL: onnx_file, TORCHSCRIPT_MODEL: torchscript, DEEPSHAP_MODEL: explanation}
    models = {name: content for name, content in compiled.items() if content is not None}
    return _collect(draft, sidecar, parity, vectors, {**models, **extras})


def package_onnx(draft: Draft, outputs: tuple[TensorSpec, ...], model: onnx.ModelProto) -> Package:
    """As `package_graph`, for an ONNX model that is all there is."""
    reason = "the bundle was made from an ONNX file, which has no gradients"
    capabilities = {
        "gradients": capability(reason),
        "grad-cam": capability(reason),
        "deepshap": capability("it is compiled from PyTorch modules"),
        "attention": capability("only logits and probabilities are taken from an ONNX file"),
    }
    sidecar = describe(draft, outputs, capabilities, model)
    onnx_file = finish(model, sidecar.embedded())
    names = [spec.name for spec in outputs]
    parity = verify_onnx(onnx_file, names, draft.probes(PROBE_ROWS, samples.PROBE), TOLERANCES.outputs)
    rows = draft.probes(samples.CONFORMANCE_ROWS, samples.CONFORMANCE)
    vectors = {INPUT: rows, **onnx_outputs(onnx_file, names)(rows)}
    vectors["explained_class"] = vectors["logits"].argmax(axis=1)
    return _collect(draft, sidecar, parity, vectors, {ONNX_MODEL: onnx_file})


def describe(
    draft: Draft, outputs: tuple[TensorSpec, ...], capabilities: dict[str, Capability], model: onnx.ModelProto
) -> Sidecar:
    """The sidecar, with parity and digests still to come."""
    names = tuple(feature.name for feature in draft.features)
    rows = TensorSpec(name=INPUT, dtype="float32", shape=("N", len(names)), columns=names)
    logits = outputs[0].row_shape()
    if logits != (len(draft.classes),):
        raise ExportError(f"expected a logit for each of the {len(draft.classes)} classes, got {logits[0]} a row")
    return Sidecar(
        format_version=FORMAT_VERSION,
        name=draft.name,
        task=TASK,
        signature=Signature(inputs=(rows,), outputs=outputs),
        classes=draft.classes,
        features=draft.features,
        preprocessing=draft.preprocessing,
        capabilities=capabilities,
        background=BACKGROUND,
        summary=None,
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


def _collect(
    draft: Draft, sidecar: Sidecar, parity: Parity, vectors: dict[str, NDArray[Any]], files: dict[str, bytes]
) -> Package:
    reference: dict[str, NDArray[Any]] = {INPUT: draft.impute(draft.references.rows), WEIGHT: draft.references.weights}
    made = {BACKGROUND: samples.to_parquet(reference), CONFORMANCE: samples.to_parquet(vectors)}
    return Package(sidecar=dataclasses.replace(sidecar, parity=parity), files={**files, **made})
