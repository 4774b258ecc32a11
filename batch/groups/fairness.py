"""Figures of fairness by their standard names, computed by fairlearn from counts as weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEMOGRAPHIC_PARITY = "demographic parity"
EQUALISED_ODDS = "equalised odds"
EQUAL_OPPORTUNITY = "equal opportunity"
PREDICTIVE_PARITY = "predictive parity"

DEFINITIONS = {
    DEMOGRAPHIC_PARITY: "the selection rate: rows predicted as the class / rows",
    EQUALISED_ODDS: "the true and the false positive rate: of the two, the larger difference and the smaller ratio",
    EQUAL_OPPORTUNITY: "the true positive rate: rows of the class predicted as it / rows of the class",
    PREDICTIVE_PARITY: "the precision: rows of the class predicted as it / rows predicted as the class",
}
"""The quantity that each figure compares between the groups."""


@dataclass(frozen=True)
class Cells:
    """Rows of G groups by truth and prediction of one class against the rest, [G] each."""

    hits: NDArray[np.int64]
    """True and predicted."""
    misses: NDArray[np.int64]
    """True and not predicted."""
    false_alarms: NDArray[np.int64]
    """Not true and predicted."""
    others: NDArray[np.int64]
    """Neither."""

    def of(self, groups: Sequence[int]) -> "Cells":
        """The cells of some groups."""
        chosen = list(groups)
        return Cells(self.hits[chosen], self.misses[chosen], self.false_alarms[chosen], self.others[chosen])

    def weighted(self) -> dict[str, Any]:
        """Each group's four cells as fairlearn's arguments: one row a cell, with its count as the weight."""
        count = len(self.hits)
        weights = np.concatenate([self.hits, self.misses, self.false_alarms, self.others])
        there = weights > 0
        truth, predicted = np.repeat([1, 1, 0, 0], count), np.repeat([1, 0, 1, 0], count)
        groups = np.tile(np.arange(count), 4)
        return {
            "y_true": truth[there],
            "y_pred": predicted[there],
            "sensitive_features": groups[there],
            "sample_weight": weights[there].astype(np.float64),
        }


@dataclass(frozen=True)
class Disparity:
    """How far one figure differs between the groups."""

    name: str
    difference: float | None
    """The largest less the smallest; None where fewer than two groups have the figure."""
    ratio: float | None
    """The smallest over the largest; None where that is not defined."""
    groups: int
    """The groups that have the figure."""
    left_out: tuple[int, ...]
    """The groups that do not: no row of theirs could be counted in it."""


def demographic_parity(selected: NDArray[np.int64], rows: NDArray[np.int64]) -> Disparity:
    """The disparity of selection rates, of groups [G] with so many rows of which so many are predicted as the class."""
    nothing = np.zeros_like(rows)
    cells = Cells(nothing, nothing, selected, rows - selected)
    return _disparity(DEMOGRAPHIC_PARITY, cells, rows > 0, selected)


def with_truth(cells: Cells) -> list[Disparity]:
    """The disparities of the figures that need the truth."""
    true, false = cells.hits + cells.misses, cells.false_alarms + cells.others
    predicted = cells.hits + cells.false_alarms
    return [
        _disparity(EQUALISED_ODDS, cells, (true > 0) & (false > 0), None),
        _disparity(EQUAL_OPPORTUNITY, cells, true > 0, cells.hits),
        _disparity(PREDICTIVE_PARITY, cells, predicted > 0, cells.hits),
    ]


def _disparity(name: str, cells: Cells, has: NDArray[np.bool_], counted: NDArray[np.int64] | None) -> Disparity:
    """One figure over the groups that have it; `counted` is above 0 in some group where the ratio is defined."""
    own, left_out = np.flatnonzero(has).tolist(), tuple(np.flatnonzero(~has).tolist())
    if len(own) < 2:
        return Disparity(name, None, None, len(own), left_out)
    some = cells.of(own)
    # Of each rate some group needs rows above 0, or the ratio is 0 / 0.
    needed = [some.hits, some.false_alarms] if counted is None else [counted[own]]
    has_ratio = all(each.any() for each in needed)
    difference, ratio = _metrics()[name]
    arguments = some.weighted()
    found = float(ratio(**arguments)) if has_ratio else None
    return Disparity(name, float(difference(**arguments)), found, len(own), left_out)


def _metrics() -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """fairlearn's functions for the difference and the ratio of each figure."""
    from fairlearn.metrics import (
        demographic_parity_difference,
        demographic_parity_ratio,
        equal_opportunity_difference,
        equal_opportunity_ratio,
        equalized_odds_difference,
        equalized_odds_ratio,
        make_derived_metric,
    )
    from sklearn.metrics import precision_score

    weights = ["sample_weight"]
    precision = [
        make_derived_metric(metric=precision_score, transform=transform, sample_param_names=weights)
        for transform in ("difference", "ratio")
    ]
    return {
        DEMOGRAPHIC_PARITY: (demographic_parity_difference, demographic_parity_ratio),
        EQUALISED_ODDS: (equalized_odds_difference, equalized_odds_ratio),
        EQUAL_OPPORTUNITY: (equal_opportunity_difference, equal_opportunity_ratio),
        PREDICTIVE_PARITY: (precision[0], precision[1]),
    }
