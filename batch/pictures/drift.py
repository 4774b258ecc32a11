"""How far a run's inputs and attributions have moved from what the bundle knows of its training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.pictures.bins import BinCounts, quantile_edges
from batch.pictures.psi import by_chance, psi
from batch.pictures.reference import ReferenceAttributions
from runtime.bundle import Feature

ATTRIBUTION_BINS = 5
"""Fewer than the deciles of inputs: there are about a hundred reference rows, not thousands."""


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature has moved."""

    name: str
    index: float
    """The population stability index; NaN where no value is known."""
    before: NDArray[np.float64]
    """[B]: shares of the bins in training, or among the reference rows."""
    after: NDArray[np.float64]
    """[B]: in the run."""
    missing_before: float = 0.0
    missing_after: float = 0.0
    halves: float = float("nan")
    """The index of the run's second half of rows against its first."""


@dataclass(frozen=True)
class Drift:
    """The features by their index, the largest first."""

    features: tuple[FeatureDrift, ...]
    by_chance: float
    """About what the index comes to where nothing has moved, as both sides are samples."""


def input_drift(features: Sequence[Feature], counts: BinCounts) -> Drift:
    """Of the values counted in the bins of the training statistics."""
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
    """Counts values in the bins of the training statistics."""
    return BinCounts([np.array(feature.bin_edges) for feature in features])


def attribution_counts(reference: ReferenceAttributions) -> tuple[BinCounts, BinCounts]:
    """Count a run's attributions, of its first and second half, in bins of equal weight among the reference rows'."""
    edges = quantile_edges(reference.values, reference.weights, ATTRIBUTION_BINS)
    return BinCounts(edges), BinCounts(edges)


def attribution_drift(
    names: Sequence[str], reference: ReferenceAttributions, halves: tuple[BinCounts, BinCounts]
) -> Drift:
    """Of the attributions counted, against the reference rows'."""
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
    # As many rows of equal weight as say as much: Kish's effective size, of rows and not of their classes.
    per_row = reference.weights[:: max(len(reference.weights) // reference.rows, 1)]
    effective = per_row.sum() ** 2 / (per_row**2).sum()
    return Drift(_ranked(found), by_chance(ATTRIBUTION_BINS, effective, max(rows, 1)))


def _ranked(found: list[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    return tuple(sorted(found, key=lambda each: -np.nan_to_num(each.index, nan=-1.0)))
