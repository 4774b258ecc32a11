"""The edges of the bins of an index: the deciles of A, by the rule of a bundle's own bins."""

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.bins import FEW, bin_edges, just_above


def decile_edges(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inner edges of the bins, ascending; none without finite values.

    A value with a bin of its own has an edge just above it, too: what A has never had is in no bin of A's.

    Args:
        values: A's values, or a sample of them; what is not finite is passed over.
    """
    present = values[np.isfinite(values)].astype(np.float64)
    if not len(present):
        return np.zeros(0, dtype=np.float32)
    edges = bin_edges(present)
    if len(edges) <= FEW and np.isin(present, edges).all():
        edges = np.concatenate([edges, just_above(edges)])
    return as_edges(edges)


def as_edges(edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Edges as float32, ascending and distinct."""
    with np.errstate(over="ignore"):
        found: NDArray[np.float32] = np.unique(edges.astype(np.float32) + np.float32(0))
    return found
