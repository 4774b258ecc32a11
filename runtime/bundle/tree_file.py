"""The trees of a bundle, checked against its table."""

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import BundleError, BundleFormatError


def read_trees(bundle: Bundle) -> Trees:
    """The trees; raises BundleError if the bundle has none, BundleFormatError for others than its table's."""
    graph = bundle.sidecar.graph("trees")
    if graph is None:
        raise BundleError(f"bundle {bundle.sidecar.name!r} has no trees")
    codes = [None if each.categories is None else each.categories.codes for each in bundle.sidecar.columns]
    try:
        trees = Trees.read(bundle.read_bytes(graph.file))
        trees.check_table(codes, len(bundle.sidecar.targets))
    except BundleFormatError as error:
        raise error.at(str(bundle.path / graph.file)) from None
    return trees


def tree_rows(sidecar: Sidecar, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of codes [N, F] as trees take them: with the values that the bundle imputes."""
    imputation = np.array(sidecar.imputation, dtype=np.float32)
    filled: NDArray[np.float32] = np.where(np.isnan(rows), imputation, rows)
    return filled
