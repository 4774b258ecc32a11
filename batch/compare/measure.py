"""Figures from the counts of two sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from whyport.batch.compare.figures import Figure
from whyport.batch.compare.tally import RARER, CategoryTally, Tally
from whyport.batch.report.gather.drift import by_chance, psi

MISSING = "missing"
NEW = "(not in A)"
"""The bin of the categories that A has not."""
MOST_BINS = 1000
"""A's commonest categories, which have a bin each; the others share one."""
DEVIATE = 3.090232306167813
"""The normal deviate that one of a thousand is beyond."""
EXAMPLES = 50
"""The most categories that are named as new or gone."""


@dataclass(frozen=True)
class KnownBins:
    """A bundle's record of a number's training values."""

    shares: NDArray[np.float64]
    """[B]: the share of the values in each bin."""
    mean: float
    missing: float
    """The share of the rows without a value."""


def number_figure(name: str, before: Tally | KnownBins, after: Tally, effective: float | None = None) -> Figure:
    """The figures of a number but its distance.

    Args:
        name: its name.
        before: A's values.
        after: B's values, in the same bins.
        effective: how many rows of equal weight say as much as A's; None for as many as there are.
    """
    found = np.append(after.counts, after.missing)
    if isinstance(before, Tally):
        expected = np.append(before.counts, before.missing)
        rows = float(expected.sum()) if effective is None else effective
    else:
        expected = np.append(before.shares * (1 - before.missing), before.missing)
        rows = np.inf
    chance = _chance(expected, rows, float(found.sum()))
    return Figure(
        name=name,
        psi=float(psi(expected, found)),
        by_chance=chance[0],
        chance_limit=chance[1],
        edges=tuple(float(edge) for edge in after.edges),
        bins=(*_bin_names(after.edges), MISSING),
        before=_shares(expected),
        after=_shares(found),
        mean_before=before.mean,
        mean_after=after.mean,
    )


def category_figure(name: str, before: CategoryTally, after: CategoryTally, weighted: bool = False) -> Figure:
    """The figures of a variable of categories: a bin for each that A has, one for all others, one for what is missing.

    Args:
        name: its name.
        before: A's values.
        after: B's values.
        weighted: whether A's counts are weights, so that they do not say how many rows there are.
    """
    ordered = sorted(before.counts, key=lambda each: (each == RARER, -before.counts[each], each))
    own, rare = ordered[:MOST_BINS], ordered[MOST_BINS:]
    bins = [*own, *([RARER] if rare and RARER not in own else []), NEW, MISSING]
    place = {each: i for i, each in enumerate(own)} | dict.fromkeys(rare, bins.index(RARER) if rare else -1)
    # Where A's rare ones are not told apart, what A has not may be among them.
    new = bins.index(RARER if RARER in before.counts and RARER in bins else NEW)
    expected, found = np.zeros(len(bins)), np.zeros(len(bins))
    for counts, into in ((before.counts, expected), (after.counts, found)):
        for each, count in counts.items():
            into[place.get(each, new)] += count
    expected[-1], found[-1] = before.missing, after.missing
    # A target that is never predicted is listed with no rows.
    had = {each for each, count in before.counts.items() if count}
    has = {each for each, count in after.counts.items() if count}
    chance = _chance(expected, np.inf if weighted else float(expected.sum()), float(found.sum()))
    return Figure(
        name=name,
        psi=float(psi(expected, found)),
        by_chance=chance[0],
        chance_limit=chance[1],
        bins=tuple(bins),
        before=_shares(expected),
        after=_shares(found),
        appeared=() if RARER in had else tuple(sorted(has - had)[:EXAMPLES]),
        vanished=tuple(sorted(had - has - {RARER})[:EXAMPLES]),
    )


def ranks(values: Sequence[float]) -> list[int]:
    """The place of each value, the largest first, from 1; among equal ones the earlier is before."""
    known = np.nan_to_num(np.array(values, dtype=float), nan=-1.0)
    # What differs by rounding alone is equal.
    order = np.argsort([-float(f"{value:.9e}") for value in known], kind="stable")
    found = np.empty(len(order), dtype=int)
    found[order] = np.arange(1, len(order) + 1)
    return [int(each) for each in found]


def by_index(figures: Sequence[Figure]) -> tuple[Figure, ...]:
    """The figures, the largest index first; those without an index last."""
    return tuple(sorted(figures, key=lambda each: (np.isnan(each.psi), -each.psi if each.psi == each.psi else 0.0)))


def _chance(expected: NDArray[np.float64], before: float, after: float) -> tuple[float, float]:
    """The index that chance gives: in the mean, and seldom."""
    if not before or not after:
        return float("nan"), float("nan")
    bins = max(int(np.count_nonzero(expected)), 1)
    mean = by_chance(bins, before, after)
    return mean, mean * _chi_square_tail(bins - 1)


def _chi_square_tail(freedom: int) -> float:
    """The 99.9 % quantile of χ² as a multiple of its mean (Wilson & Hilferty 1931)."""
    if not freedom:
        return 1.0
    return float((1 - 2 / (9 * freedom) + DEVIATE * np.sqrt(2 / (9 * freedom))) ** 3)


def _shares(counts: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(each) for each in counts / max(counts.sum(), 1e-300))


def _bin_names(edges: NDArray[np.float32]) -> list[str]:
    """The bins in words, by their edges."""
    if not len(edges):
        return ["all values"]
    shown = [f"{float(edge):.6g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(shown)]
    return [f"below {shown[0]}", *between, f"{shown[-1]} and above"]
