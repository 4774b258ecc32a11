"""Small runs that explain by every method of the catalogue: bundles, options and rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.engines import OF_NETWORKS
from whyport.runtime.bundle.folder import Bundle

METHODS_OF = {"reference_bundle": OF_NETWORKS, "tree_bundle": ("treeshap",), "image_bundle": ("cam",)}
SMALL = {"shapley": {"permutations": 8}, "lime": {"samples": 64}, "expected-gradients": {"steps": 4}}
OPTIONS: dict[str, Any] = {"batch_rows": 4, "part_rows": 4, "threads": 1}


def options_of(fixture: str) -> dict[str, Any]:
    """The options of a run by the methods of a bundle."""
    return OPTIONS | {name: each for method in METHODS_OF[fixture] for name, each in SMALL.get(method, {}).items()}


def write_rows(bundle: Path, path: Path) -> Path:
    """Twenty-two rows of a table's columns."""
    names = [column.name for column in Bundle.read(bundle).sidecar.columns]
    columns = np.random.default_rng(9).normal(size=(len(names), 22))
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    return path
