"""From a user's own model to a bundle: load, compile, verify, write."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.bundle.package import TOLERANCES, Package, package_graph, package_onnx, versions
from whyport.exporter.bundle.write import Target, check_target, write_bundle
from whyport.exporter.data import samples
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.statistics import describe_features, float32_matrix
from whyport.exporter.data.table import choose_features, digest, feature_arrays, read_frame
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import DEFAULT_OPSET, compile_onnx
from whyport.exporter.graphs.preprocess import build_preprocessing, describe_preprocessing
from whyport.exporter.kinds.onnx import (
    LOGITS,
    PROBABILITIES,
    check_input,
    check_logits,
    conform,
    find_logits,
    read_onnx,
)
from whyport.exporter.kinds.pytorch import load_weights, make_network
from whyport.exporter.verify.engines import onnx_outputs
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.errors import ExportError, MissingValueError, UsageError, WhyportError, listing


@dataclass(frozen=True)
class Own:
    """A model that was not trained here, and a sample of the rows it is for."""

    source: str
    """MODULE:FACTORY, or a file named *.onnx."""
    sample: Path
    weights: Path | None = None
    features: tuple[str, ...] = ()
    """The model's inputs in order; empty for all columns of the sample but the excluded."""
    excluded: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    """In the order of the logits; empty for generic names."""
    background: BackgroundChoice = field(default_factory=BackgroundChoice)
    impute: bool = False
    standardise: bool = False

    @property
    def is_onnx(self) -> bool:
        """Whether the source is a file."""
        return self.source.lower().endswith(".onnx")


def export_bundle(own: Own, target: Target, *, seed: int = 0, opset: int | None = None) -> Bundle:
    """Write a user's model as a verified bundle.

    Args:
        own: the model.
        target: the bundle to write.
        seed: of every draw from the sample, and of the factory's random weights.
        opset: ONNX operator set; by default one that every runtime reads. An ONNX file keeps its own.

    Raises:
        WhyportError: anything is wrong with the model, the sample or the options; nothing is written then.
    """
    check_target(target.path, overwrite=target.overwrite)
    if len(set(own.classes)) != len(own.classes):
        raise UsageError(f"expected class names to differ, got {listing(own.classes)}")
    if own.is_onnx:
        for option, given in (
            ("--weights", own.weights is not None),
            ("--impute", own.impute),
            ("--standardise", own.standardise),
            ("--opset", opset is not None),
        ):
            if given:
                raise UsageError(f"{option} is for PyTorch modules: an ONNX file is taken as it is")
    draft = _draft(own, target.bundle_name(), seed)
    package = _package_file(own, draft) if own.is_onnx else _package_module(own, draft, opset or DEFAULT_OPSET)
    return write_bundle(target.path, package, overwrite=target.overwrite)


def _package_module(own: Own, draft: Draft, opset: int) -> Package:
    network = make_network(own.source, draft.seed)
    if own.weights is not None:
        load_weights(network, own.weights)
    rows = draft.trace_rows()
    graph = build_graph(network, build_preprocessing(draft.features, draft.preprocessing), rows)
    draft = _name_classes(draft, graph.outputs[0].row_shape()[0])
    return package_graph(draft, graph, compile_onnx(graph, rows, opset), {})


def _package_file(own: Own, draft: Draft) -> Package:
    model = read_onnx(Path(own.source))
    check_input(model, len(draft.features))
    rows = draft.probes(samples.CONFORMANCE_ROWS, samples.TRACE)
    logits = find_logits(model)
    values = onnx_outputs(model.SerializeToString(), [logits])(rows)[logits]
    if values.ndim != 2 or len(values) != len(rows) or values.shape[1] < 2:
        raise ExportError(f"output {logits!r}: expected [N, 2 or more classes], got {list(values.shape)}")
    outputs = conform(model, logits, (len(draft.features), values.shape[1]))
    check_logits(onnx_outputs(model.SerializeToString(), [LOGITS, PROBABILITIES])(rows), TOLERANCES.outputs)
    return package_onnx(_name_classes(draft, values.shape[1]), outputs, model)


def _draft(own: Own, name: str, seed: int) -> Draft:
    frame = read_frame(own.sample)
    try:
        names = choose_features(frame, own.features, own.excluded)
        columns = feature_arrays(frame, names)
        features = describe_features(names, columns)
        matrix = float32_matrix(features, columns)
        rows = matrix if own.impute else _complete_rows(matrix)
    except WhyportError as error:
        raise error.at(str(own.sample)) from None
    model_file = Path(own.source) if own.is_onnx else own.weights
    if model_file is not None and not model_file.is_file():
        raise UsageError(f"there is no file {str(model_file)!r}")
    provenance = Provenance(
        # Of a file only the name: its folder is a matter of this machine.
        source=f"export {Path(own.source).name if own.is_onnx else own.source}",
        settings={"model_digest": digest(model_file) if model_file else None},
        seed=seed,
        data_digest=digest(own.sample),
        versions=versions(),
        metrics={},
    )
    preprocessing = describe_preprocessing(features, impute=own.impute, standardise=own.standardise)
    references = own.background.take(features, rows, seed)
    return Draft(name, own.classes, features, preprocessing, provenance, rows, references, seed, own.background.summary)


def _complete_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    complete = rows[~np.isnan(rows).any(axis=1)]
    if not len(complete):
        raise MissingValueError("every row of the sample has a missing value; --impute replaces them by medians")
    return complete


def _name_classes(draft: Draft, count: int) -> Draft:
    return draft if draft.classes else dataclasses.replace(draft, classes=tuple(f"class {i}" for i in range(count)))
