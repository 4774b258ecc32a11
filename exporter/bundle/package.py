"""Everything that goes into a bundle, in memory: sidecar and files, made and verified."""

import dataclasses
import importlib.metadata
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from whyport.exporter.bundle.baselines import baselines_of_pictures, baselines_of_texts
from whyport.exporter.bundle.buckets import alike, check_padding, variant_of, with_chosen
from whyport.exporter.bundle.embedded import EmbeddedModel, Embedding, no_view, view_capabilities, view_variant
from whyport.exporter.bundle.made import Made
from whyport.exporter.bundle.pictures import picture_vectors
from whyport.exporter.bundle.vectors import make_vectors
from whyport.exporter.data import samples
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.onnx import default_opset
from whyport.exporter.graphs.prepare import prepare_model
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.reasons.compile import Reasons, compile_reasons
from whyport.exporter.verify.class_maps import with_right_maps
from whyport.exporter.verify.gradients import with_right_gradients
from whyport.exporter.verify.outputs import PROBE_ROWS, verify_outputs
from whyport.exporter.verify.reasons import verify_reasons
from whyport.exporter.verify.scores import check_meaning
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.exporter.verify.trees import with_right_trees
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.class_maps import figures_of as cam_figures
from whyport.runtime.bundle.embedded import EMBED_MODEL, EMBEDDED
from whyport.runtime.bundle.graphs import KINDS, TARGET_INDEX, reasons_inputs, reasons_outputs
from whyport.runtime.bundle.layers import figures_of
from whyport.runtime.bundle.pictures import PICTURES, PREPARE_MODEL, images_of, prepare_tensors
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
from whyport.runtime.bundle.variants import variant_file
from whyport.runtime.bundle.vectors import to_json, to_parquet
from whyport.runtime.errors import ExportError, WhyportError, listing

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
    view: EmbeddedModel | Capability | None = None,
) -> Package:
    """Compile the rest, verify, and collect the files.

    Args:
        draft: what is known of the bundle.
        compiled: the model.
        extras: further files by path inside the bundle.
        native: what was measured against the model's own framework.
        shorter: the model in the shorter buckets of rows of varying length, the longer ones first.
        view: of a model of texts, the same network from embeddings on, or why there is none.

    Raises:
        ExportError: there is not one score for each target, or the outputs are not what the task says.
        ParityError: the engines do not agree about the model's outputs.
    """
    (count,) = compiled.outputs[0].row_shape()
    if count != len(draft.targets):
        task = draft.task
        named = f"{len(draft.targets)} {task.targets_title}"
        raise ExportError(f"expected a {task.one_score} for each of the {named}, got {count} a row")
    buckets = _buckets(draft, compiled, shorter, native)
    longest = buckets[0]
    reasons, compiled = longest.reasons, longest.compiled
    embedded = _view(view, longest) if isinstance(view, EmbeddedModel) else view
    sidecar = _describe(buckets, embedded, extras)
    metadata = sidecar.embedded()
    variants = [None, *map(variant_of, buckets[1:])]
    stored = list(zip(buckets, variants, strict=True))
    if isinstance(embedded, View):
        stored += [(each, view_variant(each, embedded.longest)) for each in embedded.buckets]
    files: dict[str, bytes] = {}
    parity: dict[str, float] = {}
    for each, variant in stored:
        for name, content in _graph_files(each, metadata).items():
            files[name if variant is None else variant_file(name, variant)] = content
        parity |= {name: max(value, parity.get(name, 0.0)) for name, value in each.parity.items()}
    sidecar = dataclasses.replace(sidecar, parity=parity)
    vectors = make_vectors(draft, compiled, reasons)
    files |= {CONFORMANCE: to_parquet(vectors), CONFORMANCE_JSON: to_json(vectors, sidecar)}
    if isinstance(embedded, View):
        of_view = embedded.longest
        own = make_vectors(of_view.draft, of_view.compiled, of_view.reasons)
        files[variant_file(CONFORMANCE, EMBEDDED)] = to_parquet(own)
        files[EMBED_MODEL] = embedded.embedding.file.finish(metadata)
    if images_of(draft.inputs):
        files[PREPARE_MODEL] = prepare_model(draft.inputs).finish(metadata)
        files[PICTURES] = picture_vectors(draft.inputs)
    if compiled.trees is not None:
        files[TREES_FILE] = compiled.trees.write()
    files[BACKGROUND] = _rows(draft.background())
    if reasons.references is not None:
        files[SUMMARY] = _rows(reasons.references)
    return Package(sidecar=sidecar, files={**files, **extras})


@dataclass(frozen=True)
class View:
    """The embedded view of a model of texts, verified."""

    embedding: Embedding
    buckets: tuple[Made, ...]
    """The longest first."""

    @property
    def longest(self) -> Made:
        """The view of the longest rows."""
        return self.buckets[0]


def _view(model: EmbeddedModel, of_ids: Made) -> View | Capability:
    """The view of a model, or the reason why it cannot be trusted."""
    ((draft, compiled), *shorter) = model.models
    try:
        buckets = _buckets(draft, compiled, shorter)
        model.embedding.check(of_ids, buckets[0])
    except WhyportError as error:
        return no_view(error)
    return View(model.embedding, buckets)


def _buckets(
    draft: Draft,
    compiled: Compiled,
    shorter: Sequence[tuple[Draft, Compiled]],
    native: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Made, ...]:
    """The model in every bucket, the longest first; raises as `make_package`."""
    longest = _make(draft, compiled, native)
    others = [_make(with_chosen(each, longest), own) for each, own in shorter]
    check_padding(longest, others)
    return tuple(alike([longest, *others])) if others else (longest,)


def _make(draft: Draft, compiled: Compiled, native: Mapping[str, float] = MappingProxyType({})) -> Made:
    """Compile the rest of a model, and verify it; raises as `make_package`."""
    logger.info("comparing the engines of %s", _named(ONNX_MODEL, draft))
    check_meaning(draft, compiled)
    compiled = with_right_trees(draft, compiled)
    probes = draft.probes(PROBE_ROWS, samples.PROBE)
    compiled, gradients = with_right_gradients(compiled, probes, draft.features, draft.targets)
    parity = verify_outputs(compiled, probes, feeds=draft.feeds) | gradients | dict(native)
    # Once it is sure that there will be a bundle: this takes longer than all the rest.
    reasons = compile_reasons(draft, compiled)
    longest = draft.of_one_length(probes, full=True)[: draft.most_explained(len(probes))]
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


def _describe(buckets: Sequence[Made], view: View | Capability | None, extras: Mapping[str, bytes]) -> Sidecar:
    """The sidecar, with parity and digests still to come; the extras are as in `make_package`."""
    longest, *shorter = buckets
    draft, compiled, reasons = longest.draft, longest.compiled, longest.reasons
    graphs = list(_graphs(draft, compiled, reasons))
    for each in shorter:
        graphs += _variants(each, variant_of(each))
    capabilities = {"treeshap": NO_TREES, **compiled.capabilities, **reasons.capabilities}
    if images_of(draft.inputs):
        graphs.append(_graph(PREPARE_MODEL, "prepare", *prepare_tensors(draft.inputs)))
    if isinstance(view, View):
        graphs.append(view.embedding.graph)
        for each in view.buckets:
            graphs += _variants(each, view_variant(each, view.longest))
        capabilities |= view_capabilities(view.longest)
    elif view is not None:
        capabilities[EMBEDDED] = view
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
    of_texts = baselines_of_texts(draft.inputs, extras) if isinstance(view, View) else ()
    of_pictures = () if of_texts else baselines_of_pictures(draft.inputs)
    return Sidecar(
        format_version=FORMAT_VERSION,
        name=draft.name,
        inputs=draft.inputs,
        players=draft.players,
        score=draft.score,
        # The first one is a run's default: of texts, zeros.
        baselines=(*of_texts, background, *summary, *of_pictures),
        graphs=tuple(graphs),
        capabilities=capabilities,
        tolerances=dict(TOLERANCES),
        parity={},
        provenance=draft.provenance,
        files={},
        opset=default_opset(compiled.onnx.model),
        ir_version=compiled.onnx.model.ir_version,
    )


def _variants(made: Made, variant: str) -> list[Graph]:
    """The graphs of a bucket or view under the names that they are stored by."""
    return [
        dataclasses.replace(graph, file=variant_file(graph.file, variant), variant=variant)
        for graph in _graphs(made.draft, made.compiled, made.reasons)
    ]


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
