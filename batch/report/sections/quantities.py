"""The pictures of predicted quantities: their distribution, and how well they fit the measured values."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.figures.quantities import (
    Points,
    distribution_figure,
    histogram,
    measured_figure,
    residuals_figure,
)
from whyport.batch.report.gather.columns import category_names, titled
from whyport.batch.report.gather.quantities import Fit, Quantity
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Note, Picture, Table
from whyport.batch.report.sections.words import of_training, unit_of, with_unit
from whyport.runtime.bundle.columns import TIME

SHOWN = 4
"""The targets with pictures of their own."""


def quantity_blocks(view: View) -> list[Block]:
    """The pictures of each of the first targets, and a table of all."""
    quantities, scored = view.quantities.each, view.collected.scored
    blocks: list[Block] = []
    for k, each in enumerate(quantities[:SHOWN] if scored else ()):
        blocks += _of_target(view, k, each)
    fits = [(each, each.fit) for each in quantities]
    if any(fit is not None for _, fit in fits):
        blocks.append(_table(view, [(each, fit) for each, fit in fits if fit is not None]))
    else:
        blocks.append(Note("The run kept no column with measured values, so its predictions are compared with none."))
    return blocks


def _of_target(view: View, k: int, each: Quantity) -> list[Block]:
    label, unit = with_unit(view, each.target), unit_of(view, each.target)
    predicted, measured = (view.collected.scored[name][:, k] for name in ("predicted", "measured"))
    finite, counted = predicted[np.isfinite(predicted)], view.run.report.values[each.column]
    if counted.minimum is None or counted.mean is None or counted.maximum is None or not len(finite):
        return []
    smallest, mean, largest = counted.minimum, counted.mean, counted.maximum
    blocks: list[Block] = [
        Picture(
            f"predictions-{each.target}",
            f"Predicted {each.target}",
            f"{_drawn(len(finite), view.run.report.rows_out)}. Of all: mean {mean:.4g} {unit}, "
            f"smallest {smallest:.4g}, largest {largest:.4g}.",
            f"A histogram with its mean at {mean:.4g} {unit}, from {smallest:.4g} to {largest:.4g}.",
            lambda: distribution_figure(finite, mean, label),
            (each.target,),
            of_rows=True,
            data=lambda: histogram(finite, "predicted"),
        )
    ]
    known, fit = np.isfinite(predicted) & np.isfinite(measured), each.fit
    if fit is None or not known.any():
        return blocks
    residuals = measured[known] - predicted[known]
    panels = [Points(f"predicted {label}", predicted[known]), *_strongest(view, each.target, known)]
    drawn = _drawn(int(known.sum()), fit.rows)
    strongest = " and by the strongest feature" if len(panels) > 1 else ""
    return [
        *blocks,
        Picture(
            f"measured-{each.target}",
            f"Measured against predicted {each.target}",
            f"{drawn}, with the line on which both are equal; measured values from the column {each.measured!r}."
            f"{of_training(view)}",
            _in_words(fit, unit),
            lambda: measured_figure(predicted[known], measured[known], label),
            (each.target,),
            of_rows=True,
            data=lambda: {"predicted": predicted[known], "measured": measured[known]},
        ),
        Picture(
            f"residuals-{each.target}",
            f"Residuals of {each.target}",
            f"Measured - predicted, by the prediction{strongest}; red: the mean of each tenth of the rows. {drawn}.",
            _in_words(fit, unit),
            lambda: residuals_figure(residuals, panels, unit),
            tuple(points.label for points in panels),
            of_rows=True,
            data=lambda: {"residual": residuals, **{points.label: points.texts for points in panels}},
        ),
    ]


def _strongest(view: View, target: str, known: NDArray[np.bool_]) -> list[Points]:
    """The values of a target's strongest feature in the drawn rows; none where it is not known."""
    grid = next((each.grid for each in view.dependences if target in each.targets), None)
    if grid is None:
        return []
    values = view.values.of(view.collected.scored, [grid.column.name])[known, 0]
    if not np.isfinite(values).any():
        return []
    names = None if grid.column.categories is None else category_names(grid.column.categories)
    return [Points(titled(grid.column), values, names, grid.column.kind == TIME)]


def _drawn(shown: int, rows: int) -> str:
    return f"All {rows:,} rows" if shown == rows else f"{shown:,} of {rows:,} rows, drawn by a hash of their place"


def _in_words(fit: Fit, unit: str) -> str:
    return (
        f"R² {fit.r2:.4g}, mean absolute error {fit.mean_absolute_error:.4g} {unit}, root mean squared error "
        f"{fit.root_mean_squared_error:.4g} {unit}, over {fit.rows:,} rows."
    )


def _table(view: View, fits: list[tuple[Quantity, Fit]]) -> Table:
    head = ("", "unit", "R²", "mean absolute error", "root mean squared error", "always the mean", "bias", "rows")
    rows = tuple(
        (
            each.target,
            unit_of(view, each.target),
            f"{fit.r2:.4f}",
            *(f"{value:.4g}" for value in (fit.mean_absolute_error, fit.root_mean_squared_error, fit.spread, fit.bias)),
            f"{fit.rows:,}",
        )
        for each, fit in fits
    )
    note = (
        "Over all rows with a measured value. Always the mean: the root mean squared error of saying the mean measured "
        f"value of these rows. Bias: the mean of measured - predicted.{of_training(view)}"
    )
    return Table("How well the predictions fit", head, rows, frozenset({2, 3, 4, 5, 6, 7}), note)
