"""Everything that goes into a bundle, in memory: sidecar and files, made and verified."""

import dataclasses
import importlib.metadata
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from whyport.exporter.bundle.baselines import baselines_of_pictures
from whyport.exporter.bundle.buckets import alike, check_padding, variant_of, with_chosen
from whyport.exporter.bundle.made import Made
from whyport.exporter.bundle.vectors import make_vectors
from whyport.exporter.data import samples
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.onnx import default_opset
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.reasons.compile import Reasons, compile_reasons
from whyport.exporter.verify.class_maps import with_right_maps
from whyport.exporter.verify.outputs import PROBE_ROWS, verify_outputs, with_right_gradients
from whyport.exporter.verify.reasons import verify_reasons
from whyport.exporter.verify.scores import check_meaning
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.exporter.verify.trees import with_right_trees
from whyport.runtime.bundle.buckets import variant_file
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.class_maps import figures_of as cam_figures
from whyport.runtime.bundle.graphs import KINDS, TARGET_INDEX, reasons_inputs, reasons_outputs
from whyport.runtime.bundle.layers import figures_of
from whyport.runtime.bundle.references import WEIGHT, References
from whyport.runtime.bundle.sidecar import (
    BACKGROUND,
    BACKGROUND_NAME,
    CAM_MODEL,
    CONFORMANCE,
    CONFORMANCE_JSON,
    DEEPSHAP_MODEL,
    FORMAT_VERSION,
    ONNX_MODEL,
    SUMMARY,
    TORCHSCRIPT_MODEL,
    TREES_FILE,
    Baseline,
    Capability,
    Graph,
    Sidecar,
)
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.trees import LEAF
from whyport.runtime.bundle.vectors import to_json, to_parquet
from whyport.runtime.errors import ExportError, listing

logger = logging.getLogger(__name__)

NO_TREES = Capability(available=False, reason="the model is no sum of trees")


@dataclass(frozen=True)
class Package:
    """A verified bundle that is not written yet."""

    sidecar: Sidecar
    files: dict[str, bytes] = field(repr=False)
    """Content by path inside the bundle."""


def make_package(
    draft: Draft,
    compiled: Compiled,
    extras: Mapping[str, bytes],
    native: Mapping[str, float] = MappingProxyType({}),
    shorter: Sequence[tuple[Draft, Compiled]] = (),
) -> Package:
    """Compile the rest, verify, and collect the files.

    Args:
        draft: what is known of the bundle.
        compiled: the model.
        extras: further files by path inside the bundle.
        native: what was measured against the model's own framework.
        shorter: the model in the shorter buckets of rows of varying length, the longer ones first.

    Raises:
        ExportError: there is not one score for each target, or the outputs are not what the task says.
        ParityError: the engines do not agree about the model's outputs.
    """
    (count,) = compiled.outputs[0].row_shape()
    if count != len(draft.targets):
        task = draft.task
        named = f"{len(draft.targets)} {task.targets_title}"
        raise ExportError(f"expected a {task.one_score} for each of the {named}, got {count} a row")
    longest = _make(draft, compiled, native)
    others = [_make(with_chosen(each, longest), own) for each, own in shorter]
    check_padding(longest, others)
    longest, *others = alike([longest, *others]) if others else [longest]
    reasons, compiled = longest.reasons, longest.compiled
    sidecar = _describe(longest, others)
    files = _graph_files(longest, sidecar.embedded())
    for each in others:
        variant = variant_of(each)
        own = _graph_files(each, sidecar.embedded())
        files |= {variant_file(name, variant): content for name, content in own.items()}
    parity: dict[str, float] = {}
    for each in (longest, *others):
        parity |= {name: max(value, parity.get(name, 0.0)) for name, value in each.parity.items()}
    sidecar = dataclasses.replace(sidecar, parity=parity)
    vectors = make_vectors(draft, compiled, reasons)
    files |= {CONFORMANCE: to_parquet(vectors), CONFORMANCE_JSON: to_json(vectors, sidecar)}
    if compiled.trees is not None:
        files[TREES_FILE] = compiled.trees.write()
    files[BACKGROUND] = _rows(draft.background())
    if reasons.references is not None:
        files[SUMMARY] = _rows(reasons.references)
    return Package(sidecar=sidecar, files={**files, **extras})


def _make(draft: Draft, compiled: Compiled, native: Mapping[str, float] = MappingProxyType({})) -> Made:
    """Compile the rest of a model, and verify it; raises as `make_package`."""
    logger.info("comparing the engines of %s", _named(ONNX_MODEL, draft))
    check_meaning(draft, compiled)
    compiled = with_right_trees(draft, compiled)
    probes = draft.probes(PROBE_ROWS, samples.PROBE)
    compiled = with_right_gradients(compiled, probes, draft.features, draft.targets)
    parity = verify_outputs(compiled, probes, draft.features, draft.targets, feeds=draft.feeds) | dict(native)
    # Once it is sure that there will be a bundle: this takes longer than all the rest.
    reasons = compile_reasons(draft, compiled)
    longest = draft.of_one_length(probes, full=True)
    reasons, parity = verify_reasons(draft, compiled, reasons, (longest, draft.replayed()), parity)
    reasons, parity = with_right_maps(draft, compiled, reasons, probes, parity)
    return Made(draft, compiled, reasons, parity)


def _named(file: str, draft: Draft) -> str:
    """The file, and for rows of how many steps it is, where that varies."""
    steps = [str(each.buckets[-1]) for each in draft.lengths]
    return f"{file} for rows of up to {listing(steps)} steps" if steps else file


def _graph_files(made: Made, metadata: str) -> dict[str, bytes]:
    """The content of the files that compute, by name; trees apart."""
    onnx = {ONNX_MODEL: made.compiled.onnx, **made.reasons.graphs}
    if made.reasons.maps is not None:
        onnx[CAM_MODEL] = made.reasons.maps.file
    files = {name: file.finish(metadata) for name, file in onnx.items()}
    torchscript = {TORCHSCRIPT_MODEL: made.compiled.torchscript, DEEPSHAP_MODEL: made.reasons.deepshap}
    return files | {name: file.content for name, file in torchscript.items() if file is not None}


def _describe(longest: Made, shorter: Sequence[Made]) -> Sidecar:
    """The sidecar, with parity and digests still to come."""
    draft, compiled, reasons = longest.draft, longest.compiled, longest.reasons
    graphs = list(_graphs(draft, compiled, reasons))
    for each in shorter:
        variant = variant_of(each)
        graphs += [
            dataclasses.replace(graph, file=variant_file(graph.file, variant), variant=variant)
            for graph in _graphs(each.draft, each.compiled, each.reasons)
        ]
    weights = draft.references.weights
    background = Baseline(
        name=BACKGROUND_NAME,
        kind="rows",
        file=BACKGROUND,
        rows=len(weights),
        weighted=bool((weights != weights[0]).any()),
        method=draft.references_method,
        figures={},
    )
    summary = () if reasons.summary is None else (reasons.summary,)
    return Sidecar(
        format_version=FORMAT_VERSION,
        name=draft.name,
        inputs=draft.inputs,
        players=draft.players,
        score=draft.score,
        baselines=(background, *summary, *baselines_of_pictures(draft.inputs)),
        graphs=tuple(graphs),
        capabilities={"treeshap": NO_TREES, **compiled.capabilities, **reasons.capabilities},
        tolerances=dict(TOLERANCES),
        parity={},
        provenance=draft.provenance,
        files={},
        opset=default_opset(compiled.onnx.model),
        ir_version=compiled.onnx.model.ir_version,
    )


def _graphs(draft: Draft, compiled: Compiled, reasons: Reasons) -> tuple[Graph, ...]:
    """The files that compute, with the tensors that each takes and gives."""
    tensors, row = draft.tensors, (draft.row_spec,)
    scores = [spec for spec in compiled.outputs if spec.name in draft.task.outputs]
    graphs = [_graph(ONNX_MODEL, "predict", tensors, compiled.outputs)]
    if compiled.torchscript is not None:
        figures = figures_of(() if compiled.graph is None else compiled.graph.layers)
        graphs.append(Graph(TORCHSCRIPT_MODEL, "torch", None, row, compiled.outputs, figures))
    if reasons.deepshap is not None:
        graphs.append(_graph(DEEPSHAP_MODEL, "deepshap", (), ()))
    if compiled.trees is not None:
        leaves = float((compiled.trees.left == LEAF).sum())
        figures = {"trees": float(len(compiled.trees.roots)), "leaves": leaves}
        graphs.append(Graph(TREES_FILE, "trees", None, (), (), figures))
    for name in reasons.graphs:
        outputs = reasons_outputs(name, scores, len(draft.features))
        graphs.append(_graph(name, KINDS[name], (*reasons_inputs(tensors), TARGET_INDEX), outputs))
    if reasons.maps is not None:
        figures = cam_figures(draft.targets, reasons.maps.bias)
        graphs.append(Graph(CAM_MODEL, CAM, None, tensors, reasons.maps.outputs, figures))
    return tuple(graphs)


def _graph(file: str, kind: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Graph:
    return Graph(file=file, kind=kind, variant=None, inputs=inputs, outputs=outputs, figures={})


def versions(*further: str) -> dict[str, str]:
    """The versions that a bundle depends on, with those of further distributions."""
    packages = ("whyport", "torch", "onnx", *further)
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def _rows(references: References) -> bytes:
    return to_parquet({INPUT: references.rows, WEIGHT: references.weights})
