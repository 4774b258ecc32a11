"""The drivers of predictions: the strongest features, and which way their values push."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import Positions
from whyport.batch.report.gather.by_category import category_shares
from whyport.batch.report.gather.collect import TargetAttributions, pooled_magnitude
from whyport.batch.report.gather.values import FeatureValues
from whyport.runtime.bundle.columns import Column

ONE_WAY = 0.5
"""The rank correlation of values and shares from which a feature pushes one way."""
FEW = 10
"""Rows with a known value below which no direction is told."""


@dataclass(frozen=True)
class Driver:
    """A feature that moves the scores."""

    name: str
    share: float
    """Its part of all mean |attributions|, 0 to 1."""
    correlation: float = float("nan")
    """Spearman's rank correlation of its values and shares; NaN where it is not told."""
    highest: str = ""
    """The category with the highest mean share; empty for other features."""
    lowest: str = ""

    @property
    def is_rising(self) -> bool:
        """Whether higher values raise the score."""
        return self.correlation >= ONE_WAY

    @property
    def is_falling(self) -> bool:
        """Whether higher values lower the score."""
        return self.correlation <= -ONE_WAY


def by_name(positions: Positions, magnitudes: NDArray[np.float64]) -> dict[str, float]:
    """The mean magnitudes [G] by feature: those of a sequence's cells summed up over its steps."""
    inside = np.zeros(len(positions.names), dtype=np.bool_)
    found: dict[str, float] = {}
    for block in positions.sequences:
        if len(block.axes) == 2 and block.axes[-1].labels:
            inside[block.start : block.stop] = True
            summed = block.of(magnitudes).sum(axis=0).tolist()
            found |= dict(zip((f"{block.input}: {label}" for label in block.axes[-1].labels), summed, strict=True))
    alone = [i for i in range(len(positions.names)) if not inside[i]]
    return {positions.names[i]: float(magnitudes[i]) for i in alone} | found


def drivers(
    explained: Sequence[TargetAttributions],
    positions: Positions,
    values: FeatureValues,
    columns: Sequence[Column],
    count: int,
) -> list[Driver]:
    """The strongest features of some targets' attributions; their direction is that of the first target's score.

    Args:
        explained: one method's attributions of some targets.
        positions: the names of the shares.
        values: the values of the sampled rows.
        columns: the features of the model.
        count: the most features.
    """
    sums = by_name(positions, pooled_magnitude(explained))
    total = sum(sums.values()) or 1.0
    by_column, first = {column.name: column for column in columns}, explained[0]
    found = []
    for name in sorted(sums, key=lambda each: -sums[each])[:count]:
        share, column = sums[name] / total, by_column.get(name)
        if column is None or name not in positions.names:
            found.append(Driver(name, share))
            continue
        own = values.of(first.sample, [name])[:, 0]
        shares = first.sample["values"][:, positions.names.index(name)]
        found.append(_driver(column, share, own, shares))
    return found


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two samples [n]; NaN where one of them has one value alone."""
    ranks = np.stack([_ranks(first), _ranks(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(axis=1))
    return float(ranks[0] @ ranks[1] / (lengths[0] * lengths[1])) if lengths.all() else float("nan")


def _driver(column: Column, share: float, values: NDArray[np.float64], shares: NDArray[np.float64]) -> Driver:
    if column.categories is not None:
        found = category_shares(column, values, shares)
        if found is None or len(found.labels) < 2:
            return Driver(column.name, share)
        means = found.means
        highest, lowest = found.labels[int(means.argmax())], found.labels[int(means.argmin())]
        return Driver(column.name, share, highest=highest, lowest=lowest)
    known = np.isfinite(values)
    if known.sum() < FEW:
        return Driver(column.name, share)
    return Driver(column.name, share, rank_correlation(values[known], shares[known]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each value [n]; equal ones share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places.reshape(-1)]
    return ranks
