"""The replay of a bundle's test vectors: conformance.parquet has a column for every tensor of the signature."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.attribution import within_rounding
from whyport.runtime.bundle.buckets import level_count, steps_at, variant_name
from whyport.runtime.bundle.class_maps import CAM, cam_graph
from whyport.runtime.bundle.embedded import EMBED_MODEL, EMBEDDED
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import (
    ATTRIBUTION,
    BASE_VALUE,
    COMPLETENESS_ERROR,
    GRADIENT,
    OLD_NAMES,
    SCORE,
    TARGET_INDEX,
    named_as_in,
    reasons_graphs,
    tolerance_of,
)
from whyport.runtime.bundle.pictures import PREPARE_MODEL
from whyport.runtime.bundle.references import check_codes
from whyport.runtime.bundle.sidecar import CONFORMANCE, MADE_FROM_KEY, METADATA_KEY, ONNX_MODEL, decode_sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.tree_file import read_trees, tree_rows
from whyport.runtime.bundle.variants import full_size
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.embedding import Embedding
from whyport.runtime.errors import BundleFormatError, ParityError
from whyport.runtime.inputs.images.replay import open_prepare, picture_deviations
from whyport.runtime.parity import deviation, map_deviation, share_deviation
from whyport.runtime.session import Session


def replay(session: Session) -> dict[str, float]:
    """Run the test vectors and compare; returns the deviation by output.

    explain.onnx, gradient.onnx and the trees are replayed too, if the bundle has them. Raises ParityError if an output
    deviates by more than the bundle's tolerance, BundleFormatError if the metadata inside a graph is not the sidecar's.
    Of texts, the graphs from embeddings on are replayed with vectors of their own. Pictures are decoded and prepared.
    Of rows of varying length, the vectors' rows fit every bucket, and each is replayed. Where the model is not told
    what is padding, they fit the longest alone.
    """
    deviations = _replay_buckets(session)
    embedding = session.embedding
    if embedding is not None:
        found = {f"{EMBEDDED}: {name}": value for name, value in _replay_buckets(embedding.session).items()}
        deviations |= found | _replay_embedding(session, embedding)
    return deviations | _replay_pictures(session)


def _replay_buckets(session: Session) -> dict[str, float]:
    """The deviations by output of the longest rows, and then of each bucket."""
    deviations = _replay(session, session)
    lengths = session.bundle.sidecar.lengths
    for level in range(1, level_count(lengths) if all(each.is_masked for each in lengths) else 1):
        variant = variant_name(steps_at(lengths, level))
        found = _replay(session.bucket(level), session)
        deviations |= {f"{variant}: {name}": value for name, value in found.items()}
    return deviations


def _replay(session: Session, longest: Session) -> dict[str, float]:
    """The deviations by output of a bucket, or of a bundle that has none.

    Args:
        session: the bucket's.
        longest: the bundle's, whose test vectors have the longest rows.
    """
    deviations: dict[str, float] = {}
    sidecar = longest.bundle.sidecar
    signature = sidecar.signature
    _check_metadata(session, ONNX_MODEL)
    vectors = _read(longest, (*signature.inputs, *signature.outputs))
    own = {spec.name: spec.row_shape() for spec in session.bundle.sidecar.signature.inputs}
    rows = {
        spec.name: _first(vectors[spec.name], own[spec.name]) if spec.row_shape() else vectors[spec.name]
        for spec in signature.inputs
    }
    spread = np.array([column.spread for column in sidecar.features])
    for name, got in session.run(rows).items():
        deviations[name] = _compare(session, name, deviation(got, vectors[name]), sidecar.tolerances["outputs"])
    deviations |= _replay_trees(session)
    deviations |= _replay_maps(session, rows)
    for file, graph in reasons_graphs(sidecar).items():
        _check_metadata(session, file)
        index = named_as_in(graph, TARGET_INDEX)
        vectors = _read(longest, (index, *graph.outputs))
        for name, got in session.run_graph(file, rows, vectors[index.name]).items():
            written = name if name in vectors else OLD_NAMES[name]
            expected, tolerance = vectors[written], tolerance_of(name, sidecar.tolerances)
            if name == COMPLETENESS_ERROR.name:
                allowed = within_rounding(1, vectors[SCORE.name], vectors[BASE_VALUE.name])
                got, expected = got / allowed, np.zeros_like(got)
            if name in (ATTRIBUTION, GRADIENT):
                expected = expected[:, session.places]
            if name == GRADIENT:
                got, expected = got * spread[session.places], expected * spread[session.places]
            compare = share_deviation if name in (ATTRIBUTION, GRADIENT) else deviation
            deviations[f"{file} {name}"] = _compare(session, f"{file} {name}", compare(got, expected), tolerance)
    return deviations


def _replay_embedding(session: Session, embedding: Embedding) -> dict[str, float]:
    """The deviation of the scores by way of embed.onnx from those of the ids in the test vectors."""
    sidecar = session.bundle.sidecar
    _check_own(session.bundle, EMBED_MODEL, embedding.metadata())
    spec, score = sidecar.row_spec, sidecar.signature.output(sidecar.score.output)
    vectors = _read(session, (spec, score))
    got = embedding.session.run(embedding.rows(vectors[spec.name]), [score.name])[score.name]
    name = f"{EMBED_MODEL} {score.name}"
    return {name: _compare(session, name, deviation(got, vectors[score.name]), sidecar.tolerances["outputs"])}


def _replay_pictures(session: Session) -> dict[str, float]:
    """How far pixels are off, of 255, by what was compared; none where the bundle has no prepare.onnx."""
    bundle, found = session.bundle, dict[str, float]()
    runner = open_prepare(bundle)
    if runner is None:
        return found
    _check_own(bundle, PREPARE_MODEL, runner.metadata())
    for name, off, tolerance in picture_deviations(bundle, runner):
        found[name] = max(found.get(name, 0.0), _compare(session, name, off, tolerance))
    return found


def _first(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The first steps of rows [N, ...], as many as a bucket has: the others are padding."""
    return values[:, : shape[0]] if values.shape[1:] != shape else values


def _replay_trees(session: Session) -> dict[str, float]:
    """The deviation of the trees' own sums, by output; none where the bundle has no trees."""
    sidecar = session.bundle.sidecar
    graph, score = sidecar.graph("trees"), sidecar.signature.output(sidecar.score.output)
    if graph is None:
        return {}
    trees = read_trees(session.bundle)
    vectors = _read(session, (sidecar.row_spec, score))
    rows = tree_rows(sidecar, vectors[sidecar.row_spec.name])
    check_codes(rows, sidecar.features)
    name = f"{graph.file} {score.name}"
    off = deviation(trees.scores(rows), vectors[score.name])
    return {name: _compare(session, name, off, sidecar.tolerances["outputs"])}


def _replay_maps(session: Session, rows: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """The deviation of cam.onnx, by output; none where the bundle has no such graph."""
    sidecar = session.bundle.sidecar
    graph = cam_graph(sidecar)
    if graph is None:
        return {}
    _check_metadata(session, graph.file)
    vectors, found = _read(session, graph.outputs), {}
    for output, got in session.class_maps(rows).items():
        name, tolerance = f"{graph.file} {output}", tolerance_of(output, sidecar.tolerances)
        compare = map_deviation if output == CAM else deviation
        found[name] = _compare(session, name, compare(got, vectors[output]), tolerance)
    return found


def _read(session: Session, specs: tuple[TensorSpec, ...]) -> dict[str, NDArray[Any]]:
    """The test vectors of some tensors; raises BundleFormatError if they are not what the bundle should have."""
    bundle, count = session.bundle, len(session.task.targets)
    try:
        vectors = read_vectors(bundle.read_bytes(CONFORMANCE), specs)
        for name in (TARGET_INDEX.name, OLD_NAMES[TARGET_INDEX.name]):
            index = vectors.get(name, np.zeros(1))
            if index.min() < -1 or index.max() >= count:
                raise BundleFormatError(f"column {name!r}: expected numbers from -1 to {count - 1}, got others")
    except BundleFormatError as error:
        raise error.at(str(bundle.path / CONFORMANCE)) from None
    return vectors


def _check_metadata(session: Session, file: str) -> None:
    _check_own(session.bundle, file, session.embedded_metadata(file))


def _check_own(bundle: Bundle, file: str, metadata: Mapping[str, str]) -> None:
    """Raise BundleFormatError unless the metadata of a graph holds the bundle's own sidecar.

    A smaller variant's holds the digest of the graph that it was made from.
    """
    stored, whole = bundle.stored.get(file, file), bundle.as_stored.sidecar
    full = full_size(stored)
    if full is not None:
        expected, got = whole.files[full], metadata.get(MADE_FROM_KEY)
        if got != expected:
            place = str(bundle.path / stored)
            raise BundleFormatError(f"expected {MADE_FROM_KEY} {expected} of {full}, got {got or 'none'}, in {place!r}")
        return
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise BundleFormatError(f"expected metadata {METADATA_KEY!r}, got none, in {str(bundle.path / file)!r}")
    try:
        embedded = decode_sidecar(text)
    except BundleFormatError as error:
        raise error.at(f"the metadata of {str(bundle.path / file)!r}") from None
    if embedded != whole.described():
        raise BundleFormatError(f"the metadata in {file} is not that of bundle.json, in {str(bundle.path)!r}")


def _compare(session: Session, name: str, value: float, tolerance: float) -> float:
    if not value <= tolerance:
        error = ParityError(
            f"output {name!r} on {session.provider.name}: expected the conformance values within {tolerance:g}, "
            f"got a deviation of {value:.3g}, in {str(session.bundle.path)!r}"
        )
        error.output = name
        raise error
    return value
