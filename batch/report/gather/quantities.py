"""Predicted quantities, and how far they are from the measured ones: totals over all rows in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.runtime.inputs.numbers import numeric_array


class Moments:
    """Count, mean and spread of numbers that come in batches.

    The batches are joined as in Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0
        """The sum of the squared distances from the mean."""

    def add(self, values: NDArray[np.float64]) -> None:
        """Count finite values [N]."""
        if not len(values):
            return
        mean, count = float(values.mean()), self.count + len(values)
        step = mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + step**2 * self.count * len(values) / count
        self.mean += step * len(values) / count
        self.count = count


@dataclass(frozen=True)
class Fit:
    """How well predictions fit the measured values of N rows, in the target's unit; NaN where it is not defined."""

    rows: int
    r2: float
    """1 - the squared errors over those of always saying the mean of these rows."""
    mean_absolute_error: float
    root_mean_squared_error: float
    bias: float
    """The mean of measured - predicted."""
    spread: float
    """The standard deviation of the measured values: the error of always saying their mean."""


class Quantity:
    """The predictions of one target, and its measured values.

    Args:
        target: the target's name.
        column: the column of the prediction.
        measured: the kept column with the measured values; None without.
    """

    def __init__(self, target: str, column: str, measured: str | None) -> None:
        self.target, self.column, self.measured = target, column, measured
        self._truths, self._errors, self._distances = Moments(), Moments(), Moments()

    @property
    def columns(self) -> list[str]:
        """The output's columns that are read."""
        return [self.column, *([] if self.measured is None else [self.measured])]

    def add(self, table: pa.Table) -> NDArray[np.float64]:
        """Count the rows of a table; returns their predicted and measured values, [N, 2], NaN where one is missing."""
        predicted = _numbers(table, self.column)
        measured = np.full(len(predicted), np.nan) if self.measured is None else _numbers(table, self.measured)
        both = np.isfinite(predicted) & np.isfinite(measured)
        errors = (measured - predicted)[both]
        self._truths.add(measured[both])
        self._errors.add(errors)
        self._distances.add(np.abs(errors))
        return np.stack([predicted, measured], axis=1)

    @property
    def fit(self) -> Fit | None:
        """How well the predictions fit; None where no row has a measured value."""
        rows = self._errors.count
        if not rows:
            return None
        squared = self._errors.squares + rows * self._errors.mean**2
        truths = self._truths.squares
        return Fit(
            rows=rows,
            r2=1 - squared / truths if truths > 0 else float("nan"),
            mean_absolute_error=self._distances.mean,
            root_mean_squared_error=float(np.sqrt(squared / rows)),
            bias=self._errors.mean,
            spread=float(np.sqrt(truths / rows)),
        )


@dataclass(frozen=True)
class Quantities:
    """The predicted quantities of a run; none for a task that predicts classes."""

    each: Sequence[Quantity] = ()

    @property
    def columns(self) -> list[str]:
        """The output's columns that are read."""
        return [name for one in self.each for name in one.columns]

    def add(self, table: pa.Table) -> dict[str, NDArray[np.float64]]:
        """Count rows; returns their values [N, K] as columns: `predicted`, and `measured` with NaN where unknown."""
        if not self.each:
            return {}
        both = np.stack([one.add(table) for one in self.each], axis=1)
        return {"predicted": both[..., 0], "measured": both[..., 1]}


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return numeric_array(table[name].combine_chunks()).astype(np.float64)
