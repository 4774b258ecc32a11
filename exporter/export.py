"""From a user's own model to a bundle: open, compile, verify, write."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.bundle.package import make_package, versions
from whyport.exporter.bundle.target import Target, check_target
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_columns, float32_matrix
from whyport.exporter.data.table import choose_features, digest, feature_arrays, read_frame
from whyport.exporter.draft import Draft
from whyport.exporter.kinds import open_kind
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.errors import MissingValueError, UsageError, WhyportError


def export_bundle(source: ModelSource, target: Target, *, seed: int = 0, opset: int | None = None) -> Bundle:
    """Write a user's model as a verified bundle.

    Args:
        source: the model.
        target: the bundle to write.
        seed: seeds every draw from the sample, and the factory's random weights.
        opset: ONNX operator set; by default one that every runtime reads. An ONNX file keeps its own.

    Raises:
        WhyportError: anything is wrong with the model, the sample or the options; nothing is written then.
    """
    check_target(target.path, overwrite=target.overwrite)
    kind = open_kind(source, seed=seed, opset=opset)
    draft = _draft(source, kind, target.bundle_name(), seed)
    compiled = kind.compile(draft)
    draft = draft.named(compiled.outputs[0].row_shape()[0])
    units = tuple(source.units.get(name) for name in draft.targets) if source.units else ()
    package = make_package(dataclasses.replace(draft, units=units), compiled, {})
    return write_bundle(target.path, package, overwrite=target.overwrite)


def _draft(source: ModelSource, kind: Kind, name: str, seed: int) -> Draft:
    frame = read_frame(source.sample)
    try:
        names = choose_features(frame, source.features, source.excluded)
        columns = feature_arrays(frame, names)
        features = describe_columns(names, columns, impute=source.impute)
        matrix = float32_matrix(features, columns)
        rows = matrix if source.impute else _complete_rows(matrix)
    except WhyportError as error:
        raise error.at(str(source.sample)) from None
    if kind.file is not None and not kind.file.is_file():
        raise UsageError(f"there is no file {str(kind.file)!r}")
    provenance = Provenance(
        source=f"export {kind.label}",
        settings={"model_digest": digest(kind.file) if kind.file else None},
        seed=seed,
        data_digest=digest(source.sample),
        versions=versions(),
        metrics={},
    )
    return Draft(
        name=name,
        targets=source.names,
        features=features,
        standardise=source.standardise,
        provenance=provenance,
        references=source.background.take(features, rows, seed),
        samples=Samples(rows, seed, missing=source.impute),
        summary=source.background.summary,
        task_name=source.task_name,
    )


def _complete_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    complete = rows[~np.isnan(rows).any(axis=1)]
    if not len(complete):
        raise MissingValueError("every row of the sample has a missing value; --impute replaces them by medians")
    return complete
