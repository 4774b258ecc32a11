"""The numeric target columns of a regression."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.bundle.constraints import TEXT
from whyport.runtime.errors import TrainingError

LARGEST = float(np.finfo(np.float32).max)


def plain_numbers(target: pd.Series) -> pd.Series:
    """The column, with decimals, as databases write amounts, as floats."""
    decimals = pd.api.types.is_object_dtype(target) and pd.api.types.infer_dtype(target, skipna=True) == "decimal"
    return target.astype(np.float64) if decimals else target


def holds_fractions(target: pd.Series) -> bool:
    """Whether a column holds numbers of which some are no whole numbers."""
    if not pd.api.types.is_float_dtype(target):
        return False
    values = target.dropna().to_numpy(np.float64)
    return bool((values != np.floor(values)).any())


def quantities(target: pd.Series) -> NDArray[np.float64]:
    """A target column as numbers, [N].

    Raises TrainingError for a column that is not numeric, and for a row without a finite number that float32 holds.
    """
    where = f"target {target.name!r}"
    if not TEXT.holds(str(target.name)):
        raise TrainingError(f"{where}: expected {TEXT.expected}")
    if not pd.api.types.is_numeric_dtype(target) or pd.api.types.is_complex_dtype(target):
        kind = target.dtype if not pd.api.types.is_object_dtype(target) else type(target.iloc[0]).__name__
        raise TrainingError(f"{where}: expected numbers, as a regression needs them, got {kind}")
    values: NDArray[np.float64] = target.to_numpy(np.float64, na_value=np.nan)
    for row in np.flatnonzero(~(np.abs(values) <= LARGEST)):
        got = "a missing value (in CSV also NA, null, None)" if np.isnan(values[row]) else values[row]
        raise TrainingError(f"{where}, row {row}: expected a finite number within float32, got {got}")
    return values


def check_vary(names: Sequence[str], labels: NDArray[np.float64]) -> None:
    """Raise TrainingError for a target of which all training rows [N, K] have one value."""
    for name, values in zip(names, labels.T, strict=True):
        if values.min() == values.max():
            raise TrainingError(f"target {name!r}: expected numbers that differ, got only {values[0]:g}")
