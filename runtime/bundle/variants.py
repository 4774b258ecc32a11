"""The names of a graph's variants: shorter buckets, the embedded view, and smaller precisions.

A precision stands before what else a variant says: `int8`, or `int8-steps-16` for a shorter bucket. Its tolerances
stand beside the bundle's own, as `int8.outputs`. A file has the names of its variants before its ending.
"""

from whyport.runtime.bundle.sidecar import PRECISIONS, Sidecar, precision_of


def variant_file(file: str, variant: str) -> str:
    """The file of a variant of a graph: model.onnx becomes model.steps-16.onnx."""
    stem, dot, suffix = file.rpartition(".")
    return f"{stem}.{variant}{dot}{suffix}"


def precisions_of(sidecar: Sidecar) -> tuple[str, ...]:
    """The names of the smaller variants that a bundle has, in order."""
    found = (precision_of(graph.variant) for graph in sidecar.graphs)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def precise_variant(variant: str | None, precision: str) -> str:
    """The variant of a graph in a precision, from that of the graph in full size."""
    return precision if variant is None else f"{precision}-{variant}"


def tolerance_key(precision: str, name: str) -> str:
    """The name of a precision's tolerance in the sidecar, from that of the bundle's own."""
    return f"{precision}.{name}"


def full_size(file: str) -> str | None:
    """The file that a smaller variant's was made from; None for any other."""
    stem, _, ending = file.rpartition(".")
    full, _, precision = stem.rpartition(".")
    return f"{full}.{ending}" if full and precision in PRECISIONS else None
