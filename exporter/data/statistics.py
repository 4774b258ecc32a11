"""Training statistics of the feature columns, and the float32 matrix that the graphs take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.sidecar import Feature
from whyport.runtime.errors import TrainingError
from whyport.runtime.inputs.table import Columns


def describe_features(names: Sequence[str], columns: Sequence[NDArray[Any]]) -> tuple[Feature, ...]:
    """The statistics of each column's values that are not NaN, in float64.

    Raises TrainingError for a column without any, ValueRangeError for values beyond float32.
    """
    # Before the statistics, which overflow for the largest float64.
    Columns(tuple(names), np.full(len(names), np.inf, dtype=np.float32)).matrix(columns)
    return tuple(_describe(name, column) for name, column in zip(names, columns, strict=True))


def float32_matrix(features: Sequence[Feature], columns: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """[N, F] float32; ValueRangeError where float32 is too coarse for a column's spread."""
    return Columns.of(features).matrix(columns)


def impute(rows: NDArray[np.float32], features: Sequence[Feature]) -> NDArray[np.float32]:
    """The rows with NaN replaced by the training medians, [N, F]."""
    medians = np.array([feature.median for feature in features], dtype=np.float32)
    return np.where(np.isnan(rows), medians, rows)


def _describe(name: str, column: NDArray[Any]) -> Feature:
    values = column.astype(np.float64)
    present = values[~np.isnan(values)]
    if not len(present):
        raise TrainingError(f"column {name!r}: expected values, got only missing ones; leave it out with --exclude")
    constant = present.min() == present.max()
    edges = np.unique(np.quantile(present, np.arange(1, 10) / 10))
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return Feature(
        name=name,
        minimum=float(present.min()),
        maximum=float(present.max()),
        # Exact where all values are equal: a rounded spread of 1e-17 would not be 0.
        mean=float(present[0] if constant else present.mean()),
        standard_deviation=0.0 if constant else float(present.std()),
        median=float(np.median(present)),
        missing_fraction=float(1 - len(present) / len(values)),
        bin_edges=tuple(map(float, edges)),
        bin_fractions=tuple(map(float, counts / len(present))),
    )
