"""The drift of a run's inputs and attributions from the bundle's record of its training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.gather.reference import ReferenceAttributions
from whyport.runtime.bundle.sidecar import Feature

STABLE = 0.1
MOVED = 0.25

LEAST_SHARE = 1e-4
"""The share that replaces an empty bin's 0, whose logarithm would be infinite."""


def psi(expected: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """The index of shares or counts by bin, [..., B] each, over the last axis; NaN if either side is empty."""
    with np.errstate(invalid="ignore"):
        e, a = (v / v.sum(axis=-1, keepdims=True) for v in (np.asarray(expected, float), np.asarray(found, float)))
    e, a = np.where(e < LEAST_SHARE, LEAST_SHARE, e), np.where(a < LEAST_SHARE, LEAST_SHARE, a)
    index: NDArray[np.float64] = ((a - e) * np.log(a / e)).sum(axis=-1)
    return index


def by_chance(bins: int, expected: float, found: float) -> float:
    """The mean of the index without any drift: (B - 1)(1/N + 1/M) for samples of N and M rows.

    Yurdakul & Naranjo 2020, Journal of Risk Model Validation 14(4): the index is then distributed as (1/N + 1/M) times
    χ² with B - 1 degrees of freedom.
    """
    return (bins - 1) * (1 / expected + 1 / found)


class BinCounts:
    """Counts the values of F features, each in bins of its own: bin i holds edge[i-1] <= value < edge[i].

    Args:
        edges: the inner edges of each feature's bins, ascending; features may have different numbers of them.
    """

    def __init__(self, edges: Sequence[NDArray[np.float64]]) -> None:
        self._edges = [np.asarray(each, dtype=np.float64) for each in edges]
        self.bins = max((len(each) for each in self._edges), default=0) + 1
        self.counts = np.zeros((len(self._edges), self.bins), dtype=np.int64)
        """[F, B]: counts of finite values; a feature with fewer bins has zeros at the end."""
        self.missing = np.zeros(len(self._edges), dtype=np.int64)
        """[F]: counts of values that are not finite."""

    def add(self, rows: NDArray[np.floating]) -> None:
        """Count rows [N, F]."""
        for j, edges in enumerate(self._edges):
            column = rows[:, j]
            finite = column[np.isfinite(column)]
            self.missing[j] += len(column) - len(finite)
            self.counts[j] += np.bincount(np.searchsorted(edges, finite, side="right"), minlength=self.bins)


def quantile_edges(rows: NDArray[np.float64], weights: NDArray[np.float64], bins: int) -> list[NDArray[np.float64]]:
    """Inner edges, without repeats, that cut each column of rows [N, F] into bins of about equal weight [N]."""
    edges = []
    for column in rows.T:
        order = np.argsort(column, kind="stable")
        below = np.cumsum(weights[order]) / weights.sum()
        places = np.searchsorted(below, np.arange(1, bins) / bins, side="right")
        edges.append(np.unique(column[order][np.minimum(places, len(column) - 1)]))
    return edges


ATTRIBUTION_BINS = 5
"""Bins of attributions, fewer than the deciles of inputs: reference rows are about a hundred, not thousands."""


@dataclass(frozen=True)
class FeatureDrift:
    """The drift of one feature."""

    name: str
    index: float
    """The population stability index; NaN if no value is known."""
    before: NDArray[np.float64]
    """[B]: the share of each bin in training, or among the reference rows."""
    after: NDArray[np.float64]
    """[B]: the share of each bin in the run."""
    missing_before: float = 0.0
    missing_after: float = 0.0
    halves: float = float("nan")
    """The index of the run's second half of rows against its first."""


@dataclass(frozen=True)
class Drift:
    """The drift of all features, the largest index first."""

    features: tuple[FeatureDrift, ...]
    by_chance: float
    """The index to expect without any drift, as both sides are samples."""


def input_drift(features: Sequence[Feature], counts: BinCounts) -> Drift:
    """The drift of the counted values from the bins of the training statistics."""
    found = []
    for feature, after, missing in zip(features, counts.counts, counts.missing, strict=True):
        bins = len(feature.bin_fractions)
        before = np.array(feature.bin_fractions)
        known, total = after.sum(), after.sum() + missing
        found.append(
            FeatureDrift(
                name=feature.name,
                index=float(psi(before, after[:bins])),
                before=before,
                after=after[:bins] / max(known, 1),
                missing_before=feature.missing_fraction,
                missing_after=float(missing / max(total, 1)),
            )
        )
    return Drift(_ranked(found), 0.0)


def input_counts(features: Sequence[Feature]) -> BinCounts:
    """A counter of values in the bins of the training statistics."""
    return BinCounts([np.array(feature.bin_edges) for feature in features])


def attribution_counts(reference: ReferenceAttributions) -> tuple[BinCounts, BinCounts]:
    """Counters for a run's first and second half of attributions, in bins of equal weight among the reference rows."""
    edges = quantile_edges(reference.values, reference.weights, ATTRIBUTION_BINS)
    return BinCounts(edges), BinCounts(edges)


def attribution_drift(
    names: Sequence[str], reference: ReferenceAttributions, halves: tuple[BinCounts, BinCounts]
) -> Drift:
    """The drift of the counted attributions from the reference rows' attributions."""
    edges = quantile_edges(reference.values, reference.weights, ATTRIBUTION_BINS)
    first, second = (each.counts for each in halves)
    found = []
    for j, name in enumerate(names):
        places = np.searchsorted(edges[j], reference.values[:, j], side="right")
        before = np.bincount(places, weights=reference.weights, minlength=first.shape[1])
        after = first[j] + second[j]
        bins = len(edges[j]) + 1
        found.append(
            FeatureDrift(
                name=name,
                index=float(psi(before[:bins], after[:bins])),
                before=before[:bins] / before.sum(),
                after=after[:bins] / max(after.sum(), 1),
                halves=float(psi(first[j, :bins], second[j, :bins])),
            )
        )
    rows = int((first + second).sum(axis=1).max(initial=0))
    # Kish's effective sample size: how many rows of equal weight say as much. It counts rows, not their classes.
    per_row = reference.weights[:: max(len(reference.weights) // reference.rows, 1)]
    effective = per_row.sum() ** 2 / (per_row**2).sum()
    return Drift(_ranked(found), by_chance(ATTRIBUTION_BINS, effective, max(rows, 1)))


def _ranked(found: list[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    return tuple(sorted(found, key=lambda each: -np.nan_to_num(each.index, nan=-1.0)))
