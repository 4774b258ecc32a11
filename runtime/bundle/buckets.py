"""The buckets of rows of varying length: the parts of a bundle that short rows need no more than.

The graphs without a variant take the longest rows. Every shorter bucket has graphs of its own, whose variant names its
steps. Where several inputs vary, a bucket is one of each, counted from the longest.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Input, SequencePreparation, TextPreparation
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.row import lengths_of, varies
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.bundle.variants import variant_file


def level_count(lengths: Sequence[Length]) -> int:
    """The number of buckets; 1 where no input varies."""
    return max((len(each.buckets) for each in lengths), default=1)


def steps_at(lengths: Sequence[Length], level: int) -> tuple[int, ...]:
    """The most steps of each input in a bucket: 0 is the longest, and each further one the next shorter."""
    return tuple(each.buckets[max(len(each.buckets) - 1 - level, 0)] for each in lengths)


def variant_name(steps: Sequence[int]) -> str:
    """The variant of the graphs of a bucket."""
    return "-".join(["steps", *map(str, steps)])


def levels(lengths: Sequence[Length], rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """The bucket of each row [N, F]: the shortest that holds it."""
    found = np.zeros(len(rows), dtype=np.int64)
    own = rows[:, [each.place for each in lengths]]
    for level in range(1, level_count(lengths)):
        found[(own <= steps_at(lengths, level)).all(axis=1)] = level
    return found


def places_at(lengths: Sequence[Length], width: int, level: int) -> NDArray[np.int64]:
    """Where the numbers of a bucket's rows stand in the longest row, of `width` numbers."""
    kept = np.ones(width, dtype=np.bool_)
    for each, steps in zip(lengths, steps_at(lengths, level), strict=True):
        kept[each.start + steps * each.width : each.place] = False
    return np.flatnonzero(kept)


def inputs_at(inputs: Sequence[Input], level: int) -> tuple[Input, ...]:
    """The inputs of a bucket, in which the rows of every length up to its own are padded to that."""
    steps = iter(steps_at(lengths_of(inputs), level))
    return tuple(_shortened(each, next(steps)) if varies(each) else each for each in inputs)


def sidecar_at(sidecar: Sidecar, level: int) -> Sidecar:
    """The sidecar as if a bucket were the longest; a graph that the bucket lacks is none of its."""
    variant = variant_name(steps_at(sidecar.lengths, level))
    graphs = {graph.file: graph for graph in sidecar.graphs if graph.variant == variant}
    renamed = {variant_file(graph.file, variant): graph.file for graph in sidecar.graphs if graph.variant is None}
    mine = tuple(
        dataclasses.replace(graphs[file], file=name, variant=None) for file, name in renamed.items() if file in graphs
    )
    files = {
        name: digest for name, digest in sidecar.files.items() if name not in renamed and name not in renamed.values()
    }
    files |= {renamed[file]: sidecar.files[file] for file in graphs}
    return dataclasses.replace(sidecar, inputs=inputs_at(sidecar.inputs, level), graphs=mine, files=files)


def bundle_at(bundle: Bundle, level: int) -> Bundle:
    """The bundle as if a bucket were the longest; the bundle itself for the longest."""
    if not level:
        return bundle
    sidecar = bundle.sidecar
    view = sidecar_at(sidecar, level)
    variant = variant_name(steps_at(sidecar.lengths, level))
    files = {graph.file: variant_file(graph.file, variant) for graph in view.graphs}
    # The bundle may be a view itself.
    stored = {**bundle.stored, **{name: bundle.stored.get(file, file) for name, file in files.items()}}
    places = tuple(places_at(sidecar.lengths, len(sidecar.features), level).tolist())
    return dataclasses.replace(bundle, sidecar=view, stored=stored, whole=bundle, places=places)


def _shortened(each: Input, steps: int) -> Input:
    assert isinstance(each.prepare, SequencePreparation | TextPreparation)
    first, *others = each.axes
    tensors = tuple(dataclasses.replace(spec, shape=("N", steps, *spec.shape[2:])) for spec in each.tensors)
    prepare: SequencePreparation | TextPreparation
    if isinstance(each.prepare, TextPreparation):
        prepare = dataclasses.replace(each.prepare, max_length=steps, buckets=(steps,))
    else:
        prepare = dataclasses.replace(each.prepare, buckets=(steps,))
    axes = (dataclasses.replace(first, length=steps), *others)
    return dataclasses.replace(each, prepare=prepare, tensors=tensors, axes=axes)
