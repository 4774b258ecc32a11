"""Pictures of a regression on the test rows: measured against predicted values, and the residuals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from whyport.exporter.train.figures import plain

SIDE = 3.6
PANELS = 8
"""The most targets that are drawn: the first ones."""


def draw_measured(residuals: Sequence[dict[str, Any]], units: Sequence[str | None]) -> Figure:
    """Measured against predicted values, a panel a target, with the diagonal on which both are equal.

    Args:
        residuals: `target`, `measured` and `predicted` of each target.
        units: each target's unit.
    """
    figure, panels = _panels(len(residuals))
    for axes, one, unit in zip(panels, residuals, units, strict=False):
        axes.plot(one["predicted"], one["measured"], ".", markersize=3)
        both = [*one["predicted"], *one["measured"]]
        axes.plot([min(both), max(both)], [min(both), max(both)], color="gray", linewidth=1)
        axes.set_xlabel(_label("predicted", one["target"], unit))
        axes.set_ylabel(_label("measured", one["target"], unit))
    return figure


def draw_residuals(residuals: Sequence[dict[str, Any]], units: Sequence[str | None]) -> Figure:
    """Measured minus predicted by predicted values, a panel a target; the arguments are those of `draw_measured`."""
    figure, panels = _panels(len(residuals))
    for axes, one, unit in zip(panels, residuals, units, strict=False):
        axes.plot(one["predicted"], np.subtract(one["measured"], one["predicted"]), ".", markersize=3)
        axes.axhline(0, color="gray", linewidth=1)
        axes.set_xlabel(_label("predicted", one["target"], unit))
        axes.set_ylabel(_label("measured - predicted", one["target"], unit))
    return figure


def _panels(count: int) -> tuple[Figure, Any]:
    count = min(count, PANELS)
    figure = Figure(figsize=(SIDE * count + 0.4, SIDE), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _label(what: str, target: str, unit: str | None) -> str:
    return plain(f"{what} {target} ({unit})" if unit else f"{what} {target}")
