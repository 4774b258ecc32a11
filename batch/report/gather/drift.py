"""The drift of a run's inputs and attributions from the bundle's record of its training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.gather.columns import category_names
from whyport.batch.report.gather.reference import ReferenceAttributions
from whyport.batch.report.gather.training_bins import TrainingBins
from whyport.runtime.bundle.bins import SMALLEST, as_float32, bin_places
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.lengths import Length, padding

STABLE = 0.1
MOVED = 0.25
UNTOLD = "cannot be told"

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
        ranges: the smallest and the largest value expected of each feature, [F, 2]; by default any value is.
        places: the positions of each feature's values in a row; by default each feature has one.
        lengths: where rows of varying length have their number of steps; what is beyond the last one is no value.
    """

    def __init__(
        self,
        edges: Sequence[NDArray[np.float64]],
        ranges: NDArray[np.float64] | None = None,
        places: Sequence[Sequence[int]] | None = None,
        lengths: Sequence[Length] = (),
    ) -> None:
        self._lengths = lengths
        self._places = [[j] for j in range(len(edges))] if places is None else [list(own) for own in places]
        self._edges = [as_float32(each) for each in edges]
        self._ranges = as_float32(np.tile([-np.inf, np.inf], (len(edges), 1)) if ranges is None else ranges)
        self.bins = max((len(each) for each in self._edges), default=0) + 1
        self.counts = np.zeros((len(self._edges), self.bins), dtype=np.int64)
        """[F, B]: counts of finite values; a feature with fewer bins has zeros at the end."""
        self.missing = np.zeros(len(self._edges), dtype=np.int64)
        """[F]: counts of values that are not finite."""
        self.outside = np.zeros(len(self._edges), dtype=np.int64)
        """[F]: counts of finite values below or above the expected range."""

    def add(self, rows: NDArray[np.floating]) -> None:
        """Count rows [N, places]; values and edges are compared as float32, as the model sees them."""
        own = ~padding(self._lengths, rows)
        for j, (edges, (low, high)) in enumerate(zip(self._edges, self._ranges, strict=True)):
            column = rows[:, self._places[j]][own[:, self._places[j]]]
            finite = as_float32(column[np.isfinite(column)])
            self.missing[j] += len(column) - len(finite)
            self.counts[j] += np.bincount(np.searchsorted(edges, finite, side="right"), minlength=self.bins)
            self.outside[j] += np.count_nonzero((finite < low) | (finite > high))


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

ROUNDING = 1e-6
"""Attributions nearer to each other than this share of the largest one count as equal."""


def attribution_edges(reference: ReferenceAttributions) -> list[NDArray[np.float64]]:
    """Inner edges of bins of about equal weight, for each feature.

    Attributions that are equal in a bin's weight of rows have a bin of their own, such as the zeros of a feature that
    few rows have: what moves away from them would not show. Rounding does not move them out of it.
    """
    values, edges = reference.values, []
    margin = max(ROUNDING * np.abs(values[np.isfinite(values)]).max(initial=0), SMALLEST)
    for every in values.T:
        known = np.isfinite(every)
        column, weights = every[known], reference.weights[known]
        found = quantile_edges(column[:, None], weights, ATTRIBUTION_BINS)[0] if len(column) else column
        for low, high in _equal(column, weights, margin):
            found = np.concatenate([found[(found < low) | (found > high)], [low, high]])
        edges.append(np.sort(found))
    return edges


def _equal(column: NDArray[np.float64], weights: NDArray[np.float64], margin: float) -> Iterator[tuple[float, float]]:
    """The ranges of equal values that have a bin's weight and at least as many rows as there are bins."""
    order = np.argsort(column)
    for group in np.split(order, np.flatnonzero(np.diff(column[order]) > margin) + 1):
        if len(group) >= ATTRIBUTION_BINS and weights[group].sum() * ATTRIBUTION_BINS >= weights.sum():
            yield float(column[group[0]] - margin), float(column[group[-1]] + margin)


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
    are_coarse: bool = False
    """Whether values can move within a bin, so that the index is the least that it can be."""
    outside: float = 0.0
    """The share of the run's values below or above all training values, or that are none of the categories."""
    categories: tuple[str, ...] | None = None
    """The names of the bins, a category each; None for a number."""

    @property
    def is_told(self) -> bool:
        """Whether the index tells how far the feature has moved: a coarse one only if it is far."""
        return self.index >= MOVED or (not self.are_coarse and not np.isnan(self.index))

    @property
    def missing_index(self) -> float:
        """The index of the share of missing values."""
        before, after = self.missing_before, self.missing_after
        return float(psi(np.array([before, 1 - before]), np.array([after, 1 - after])))


@dataclass(frozen=True)
class Drift:
    """The drift of all features, the largest index first; what cannot be told is before what has not moved."""

    features: tuple[FeatureDrift, ...]
    by_chance: float
    """The index to expect without any drift, as both sides are samples."""

    @property
    def moved(self) -> tuple[FeatureDrift, ...]:
        """The features that have moved."""
        return tuple(each for each in self.features if each.index >= MOVED)

    @property
    def untold(self) -> tuple[FeatureDrift, ...]:
        """The features of which it cannot be told whether they have moved."""
        return tuple(each for each in self.features if not each.is_told)


def input_drift(columns: Sequence[Column], counts: BinCounts) -> Drift:
    """The drift of the counted values from the bins of the training statistics, or from the counts by category."""
    found = [
        _of_numbers(j, column, counts) if column.categories is None else _of_categories(j, column, counts)
        for j, column in enumerate(columns)
    ]
    return Drift(_ranked(found), 0.0)


def _of_numbers(j: int, column: Column, counts: BinCounts) -> FeatureDrift:
    bins = TrainingBins.of(column.statistics)
    after = counts.counts[j, : len(bins.shares)]
    known, missing = after.sum(), counts.missing[j]
    return FeatureDrift(
        name=column.name,
        index=float(psi(bins.shares, after)),
        before=bins.shares,
        after=after / max(known, 1),
        missing_before=column.missing_fraction,
        missing_after=float(missing / max(known + missing, 1)),
        are_coarse=bins.are_coarse,
        outside=float(counts.outside[j] / max(known, 1)),
    )


def _of_categories(j: int, column: Column, counts: BinCounts) -> FeatureDrift:
    """The drift by category; what is missing, and what is none of the categories, has a bin each."""
    known = column.categories
    assert known is not None
    before = np.array([*known.counts, known.other, known.missing], dtype=np.float64)
    after = counts.counts[j, : known.codes]
    shares = [each / max(each.sum(), 1) for each in (before, after)]
    return FeatureDrift(
        name=column.name,
        index=float(psi(before, after)),
        before=shares[0],
        after=shares[1],
        missing_before=float(shares[0][known.missing_code]),
        missing_after=float(shares[1][known.missing_code]),
        outside=float(shares[1][known.other_code]),
        categories=category_names(known),
    )


def input_counts(
    columns: Sequence[Column], places: Sequence[Sequence[int]] | None = None, lengths: Sequence[Length] = ()
) -> BinCounts:
    """A counter of values in the bins of the training statistics, and of the codes of categories.

    Args:
        columns: the features, as training described them.
        places: the positions of each one's values in a row; by default each has one.
        lengths: where rows of varying length have their number of steps.
    """
    edges, ranges = [], []
    for column in columns:
        if column.categories is None:
            edges.append(TrainingBins.of(column.statistics).edges)
            ranges.append((column.statistics.minimum, column.statistics.maximum))
        else:
            edges.append(np.arange(1.0, column.categories.codes))
            ranges.append((-np.inf, np.inf))
    return BinCounts(edges, np.array(ranges), places, lengths)


def attribution_counts(reference: ReferenceAttributions) -> tuple[BinCounts, BinCounts]:
    """Counters for a run's first and second half of attributions, in bins of equal weight among the reference rows."""
    edges = attribution_edges(reference)
    return BinCounts(edges), BinCounts(edges)


def attribution_drift(
    names: Sequence[str], reference: ReferenceAttributions, halves: tuple[BinCounts, BinCounts]
) -> Drift:
    """The drift of the counted attributions from the reference rows' attributions."""
    first, second = (each.counts for each in halves)
    found = []
    for j, (name, edges) in enumerate(zip(names, attribution_edges(reference), strict=True)):
        known = np.isfinite(reference.values[:, j])
        places = bin_places(edges, reference.values[known, j])
        bins = len(edges) + 1
        before = np.bincount(places, weights=reference.weights[known], minlength=bins)
        after = first[j, :bins] + second[j, :bins]
        found.append(
            FeatureDrift(
                name=name,
                index=float(psi(before, after)),
                before=before / max(before.sum(), SMALLEST),
                after=after / max(after.sum(), 1),
                halves=float(psi(first[j, :bins], second[j, :bins])),
            )
        )
    rows = int((first + second).sum(axis=1).max(initial=0))
    # Kish's effective sample size: how many rows of equal weight say as much. It counts rows, not their classes.
    per_row = reference.weights[:: max(len(reference.weights) // reference.rows, 1)]
    effective = per_row.sum() ** 2 / (per_row**2).sum()
    return Drift(_ranked(found), by_chance(ATTRIBUTION_BINS, effective, max(rows, 1)))


def _ranked(found: list[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    return tuple(sorted(found, key=lambda each: -each.index if each.is_told else -MOVED))
