"""The view of a bundle in which the graphs of a smaller variant stand in place of its own."""

import dataclasses

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Graph, precision_of
from whyport.runtime.bundle.variants import precise_variant, precisions_of, tolerance_key
from whyport.runtime.errors import UsageError, unknown


def bundle_in(bundle: Bundle, precision: str | None) -> Bundle:
    """The bundle as if a precision's graphs and tolerances were its own; a graph without one stays as it is.

    None leaves the bundle as it is.

    Raises UsageError where the bundle has no such variant.
    """
    if precision is None:
        return bundle
    if bundle.precision is not None:
        bundle = bundle.as_stored
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
