"""The rules between the graphs of smaller variants and those in full size that they stand for."""

from whyport.runtime.bundle.sidecar import Graph, Sidecar, precision_of
from whyport.runtime.bundle.variants import precise_variant, precisions_of, variant_file
from whyport.runtime.errors import BundleFormatError


def check_precisions(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for a smaller variant that could not stand in for the model in full size."""
    full = [graph for graph in sidecar.graphs if precision_of(graph.variant) is None]
    small = {(graph.kind, graph.variant): graph for graph in sidecar.graphs if precision_of(graph.variant) is not None}
    for precision in precisions_of(sidecar):
        own = {
            (graph.kind, graph.variant): graph for graph in small.values() if precision_of(graph.variant) == precision
        }
        _check_graphs(precision, full, own)


def _check_graphs(precision: str, full: list[Graph], own: dict[tuple[str, str | None], Graph]) -> None:
    """Raise BundleFormatError unless every graph is one in full size with fewer bits, and the model is among them."""
    for graph in full:
        found = own.pop((graph.kind, precise_variant(graph.variant, precision)), None)
        if found is None:
            if graph.kind == "predict" and graph.variant is None:
                raise BundleFormatError(f"$.graphs: expected one of kind 'predict' and variant {precision!r}")
            continue
        expected = variant_file(graph.file, precision)
        if found.file != expected:
            raise BundleFormatError(f"$.graphs: expected the file {expected!r}, got {found.file!r}")
        if found.signature != graph.signature:
            raise BundleFormatError(f"$.graphs: expected the tensors of {graph.file} in {found.file}, got others")
    for graph in own.values():
        raise BundleFormatError(f"$.graphs: {graph.file} is a variant of no graph of kind {graph.kind!r}")
