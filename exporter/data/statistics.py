"""Training statistics of the feature columns, and the float32 matrix that the graphs take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.bins import bin_edges, bin_places
from whyport.runtime.bundle.columns import DAYS, IMPUTE, NUMBER, REFUSE, TIME, Column, NumberStatistics
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.errors import TrainingError
from whyport.runtime.inputs.table import Columns


def describe_columns(
    names: Sequence[str], columns: Sequence[NDArray[Any]], *, missing: str = REFUSE
) -> tuple[Column, ...]:
    """The columns of numbers, each as `describe_numbers` does."""
    return tuple(describe_numbers(name, column, missing=missing) for name, column in zip(names, columns, strict=True))


LEAVE_OUT = "leave it out with --exclude"
"""What to do about a column of one table that is no feature."""


def describe_numbers(
    name: str, column: NDArray[Any], *, missing: str, kind: str = NUMBER, advice: str = LEAVE_OUT
) -> Column:
    """A column with the statistics of its values that are not NaN, in float64.

    Args:
        name: its name.
        column: the values [N].
        missing: what becomes of a missing value: "refuse", "impute" for the median, or "model".
        kind: "number", or "time" for days since 1970-01-01.
        advice: what to do about a column without values.

    Raises:
        TrainingError: there is no value, or no bundle can hold the name. ValueRangeError: values beyond float32.
    """
    if not NAME.holds(name):
        raise TrainingError(f"column {name!r}: expected {NAME.expected}")
    # Before the statistics, which overflow for the largest float64.
    Columns((name,), np.full(1, np.inf, dtype=np.float32)).matrix([column])
    values = column.astype(np.float64) + 0.0  # -0 is 0
    present = values[~np.isnan(values)]
    if not len(present):
        raise TrainingError(f"column {name!r}: expected values, got only missing ones; {advice}")
    numbers = _statistics(present)
    return Column(
        name=name,
        kind=kind,
        unit=DAYS if kind == TIME else None,
        missing=missing,
        imputation=numbers.median if missing == IMPUTE else None,
        missing_fraction=float(1 - len(present) / len(values)),
        numbers=numbers,
        categories=None,
        channels=(),
    )


def float32_matrix(features: Sequence[Column], columns: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """[N, F] float32; ValueRangeError where float32 is too coarse for a column's spread."""
    return Columns.of(features).matrix(columns)


def impute(rows: NDArray[np.float32], features: Sequence[Column]) -> NDArray[np.float32]:
    """The rows with NaN replaced by the columns' own values for that, [N, F]; NaN where a column has none."""
    values = [np.nan if feature.imputation is None else feature.imputation for feature in features]
    return np.where(np.isnan(rows), np.array(values, dtype=np.float32), rows)


def _statistics(present: NDArray[np.float64]) -> NumberStatistics:
    """The statistics of values [N], of which there is one at least and none is missing."""
    constant = present.min() == present.max()
    edges = bin_edges(present)
    counts = np.bincount(bin_places(edges, present), minlength=len(edges) + 1)
    return NumberStatistics(
        minimum=float(present.min()),
        maximum=float(present.max()),
        # Exact where all values are equal: a rounded spread of 1e-17 would not be 0.
        mean=float(present[0] if constant else present.mean()),
        standard_deviation=0.0 if constant else float(present.std()),
        median=float(np.median(present)),
        bin_edges=tuple(map(float, edges)),
        bin_fractions=tuple(map(float, counts / len(present))),
    )
