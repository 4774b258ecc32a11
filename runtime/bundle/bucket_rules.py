"""The rules between the buckets of rows of varying length and the graphs that each needs."""

from whyport.runtime.bundle.buckets import level_count, sidecar_at, steps_at, variant_name
from whyport.runtime.bundle.consistency import check_consistency, check_usable
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import BundleFormatError


def check_buckets(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for a bucket that lacks a graph which the longest has, or has it with other tensors."""
    main = [graph for graph in sidecar.graphs if graph.variant is None]
    for level in range(1, level_count(sidecar.lengths)):
        variant = variant_name(steps_at(sidecar.lengths, level))
        own = [graph.kind for graph in sidecar.graphs if graph.variant == variant]
        for graph in main:
            if graph.kind not in own:
                raise BundleFormatError(f"$.graphs: expected one of kind {graph.kind!r} and variant {variant!r}")
        view = sidecar_at(sidecar, level)
        try:
            check_consistency(view)
            check_usable(view)
        except BundleFormatError as error:
            raise error.at(f"the graphs of variant {variant!r}") from None
