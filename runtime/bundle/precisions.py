"""Smaller variants of a bundle: the same graphs with fewer bits for each weight, by name.

A graph's variant is then the precision, before what else its variant says: `int8`, or `int8-steps-16` for a shorter
bucket. The precision's tolerances stand beside the bundle's own, as `int8.outputs`. Its file is the graph's own with
the precision in the name: model.int8.onnx.
"""

import dataclasses

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import PRECISIONS, Graph, Sidecar, precision_of
from whyport.runtime.errors import UsageError, unknown


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


def bundle_in(bundle: Bundle, precision: str) -> Bundle:
    """The bundle as if a precision's graphs and tolerances were its own; a graph without one stays as it is.

    Raises UsageError where the bundle has no such variant.
    """
    sidecar = bundle.sidecar
    known = precisions_of(sidecar)
    if precision not in known:
        none = f"variant {precision!r}: the bundle has none; whyport shrink makes some"
        raise UsageError(unknown("variant", precision, known) if known else none)
    full = [graph for graph in sidecar.graphs if precision_of(graph.variant) is None]
    smaller = {(graph.kind, graph.variant): graph for graph in sidecar.graphs}
    stored, graphs = dict[str, str](), list[Graph]()
    for graph in full:
        its = smaller.get((graph.kind, precise_variant(graph.variant, precision)), graph)
        stored[graph.file] = its.file
        graphs.append(dataclasses.replace(its, file=graph.file, variant=graph.variant))
    prefix, described = tolerance_key(precision, ""), sidecar.described()
    own = {name.removeprefix(prefix): each for name, each in sidecar.tolerances.items() if name.startswith(prefix)}
    view = dataclasses.replace(
        described,
        graphs=tuple(graphs),
        tolerances=described.tolerances | own,
        parity=sidecar.parity,
        files=sidecar.files | {name: sidecar.files[file] for name, file in stored.items()},
    )
    return dataclasses.replace(
        bundle, sidecar=view, stored={**bundle.stored, **stored}, source=bundle, precision=precision
    )
