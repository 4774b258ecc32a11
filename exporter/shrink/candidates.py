"""Smaller graphs that are made and not judged yet: their contents, and how long they take."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray

from whyport.exporter.shrink.makers import MAKERS, Feeds, Maker, smaller
from whyport.exporter.shrink.timing import BATCHES, milliseconds
from whyport.runtime.batching import rows_per_call
from whyport.runtime.bundle.buckets import inputs_at, level_count, levels, places_at, steps_at, variant_name
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.embedded import EMBEDDED, EMBEDDING
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import KINDS
from whyport.runtime.bundle.operators import mixes_rows
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.bundle.sidecar import Graph, precision_of
from whyport.runtime.bundle.variants import precise_variant, variant_file
from whyport.runtime.errors import ExportError
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.session import Session

SHRINKABLE = ("predict", "explain", "gradient", CAM)
"""The kinds of graph that may have weights, beside the one that embeds texts."""

Matrix = NDArray[np.float32]

Place = tuple[str, str | None]
"""A graph's kind, and its variant in full size without the steps of a bucket."""


@dataclass(frozen=True)
class Candidates:
    """The smaller graphs of one precision."""

    precision: str
    contents: dict[str, bytes] = field(repr=False)
    """By the file in full size."""
    failed: dict[str, str]
    """Why a graph could not be made smaller, by the file in full size."""


def named(graph: Graph, precision: str) -> Graph:
    """A graph's entry in a precision; what a reader needs of its figures stays."""
    variant = precise_variant(graph.variant, precision)
    return replace(graph, file=variant_file(graph.file, precision), variant=variant)


def place_of(graph: Graph) -> Place:
    """The place of a graph: those of all buckets share one."""
    variant = graph.variant or ""
    return graph.kind, next((name for name in (EMBEDDED, EMBEDDING) if f"{variant}-".startswith(f"{name}-")), None)


def full_graphs(bundle: Bundle) -> dict[str, Graph]:
    """The ONNX graphs in full size that may have weights, by file."""
    return {
        graph.file: graph
        for graph in bundle.sidecar.graphs
        if (graph.kind in SHRINKABLE or graph.variant == EMBEDDING) and precision_of(graph.variant) is None
    }


def make_candidates(bundle: Bundle, precision: str, sample: Matrix) -> Candidates:
    """Make the graphs of a bundle smaller.

    Args:
        bundle: the bundle in full size.
        precision: the name of the variant.
        sample: the rows that static quantisation learns its ranges from, [N, F].
    """
    maker, found, graphs = MAKERS[precision], Candidates(precision, {}, {}), full_graphs(bundle)
    for file, graph in graphs.items():
        make = maker.others
        if place_of(graph) == ("predict", None):
            make = partial(_of_model, maker, sample_feeds(bundle, graph, sample))
        try:
            content = smaller(bundle.read_bytes(file), bundle.sidecar.files[file], make)
        except ExportError as error:
            found.failed[file] = str(error)
            continue
        if content is None:
            found.failed[file] = "it has no weights that can be stored with fewer bits"
        else:
            found.contents[file] = content
    # Rows of all lengths are answered in one precision.
    lacking = {place_of(graphs[file]) for file in found.failed}
    for file in [file for file in found.contents if place_of(graphs[file]) in lacking]:
        del found.contents[file]
        found.failed[file] = "another bucket's graph could not be made smaller"
    return found


def _of_model(maker: Maker, feeds: Feeds, model: onnx.ModelProto) -> onnx.ModelProto | None:
    return maker.model(model, feeds)


def sample_feeds(bundle: Bundle, graph: Graph, sample: Matrix) -> Feeds:
    """The sample rows [N, F] as model.onnx takes them; of a shorter bucket those that fit it, or what of them fits."""
    lengths = bundle.sidecar.lengths
    for level in range(1, level_count(lengths)):
        if graph.variant == variant_name(steps_at(lengths, level)):
            own = sample[levels(lengths, sample) >= level]
            kept = np.array(own if len(own) else sample)[:, places_at(lengths, sample.shape[1], level)]
            inputs = inputs_at(bundle.sidecar.inputs, level)
            for each, steps in zip(lengths_of(inputs), steps_at(lengths, level), strict=True):
                kept[:, each.place] = np.minimum(kept[:, each.place], steps)
            return input_feeds(inputs, kept)
    return input_feeds(bundle.sidecar.inputs, sample)


def time_graphs(session: Session, made: Sequence[Candidates], rows: Matrix) -> dict[str, dict[str, float]]:
    """The figures `milliseconds_1` and `milliseconds_64` of files in full size, and of the smaller ones.

    Args:
        session: the bundle in full size.
        made: the smaller graphs of every precision.
        rows: typical rows, [N, F].

    Returns:
        Figures by file; of graphs for the longest rows alone, where steps vary.
    """
    found: dict[str, dict[str, float]] = {}
    for file, graph in full_graphs(session.bundle).items():
        if graph.variant not in (None, EMBEDDED, EMBEDDING):
            continue
        contents = {file: session.bundle.read_bytes(file)} | {
            variant_file(file, each.precision): each.contents[file] for each in made if file in each.contents
        }
        feeds = _feeds(session, graph, rows[: max(BATCHES)])
        if feeds is None:
            continue
        few = rows_per_call(session.bundle.sidecar.width)["cpu"]
        most = few if graph.kind in ("explain", "gradient") else max(BATCHES)
        batches = tuple(each for each in BATCHES if each <= most)
        for name, spent in milliseconds(contents, feeds, batches).items():
            found[name] = {f"milliseconds_{count}": value for count, value in spent.items()}
            if mixes_rows(contents[name]):
                # It is called row by row.
                found[name] |= {f"milliseconds_{count}": spent[1] for count in spent} | {"rows_per_call": 1.0}
    return found


def _feeds(session: Session, graph: Graph, rows: Matrix) -> Feeds | None:
    """What a graph takes for rows [N, F]; None for one that no row reaches."""
    explains = graph.kind in KINDS.values()
    if place_of(graph)[1] == EMBEDDED:
        embedding = session.embedding
        if embedding is None:
            return None
        session, rows = embedding.session, embedding.rows(rows)
    feeds = input_feeds(session.bundle.sidecar.inputs, rows, exact=explains)
    targets = np.zeros(len(rows), dtype=np.int64)
    return {spec.name: feeds.get(spec.name, targets) for spec in graph.inputs}
