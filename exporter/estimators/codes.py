"""Rows of codes, back in the terms of an estimator: a frame, or an array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import Categories, Column
from whyport.runtime.inputs.categories import BOOLEAN, NUMBER, category_number
from whyport.runtime.inputs.feeds import code_values


@dataclass(frozen=True)
class Decoder:
    """What an estimator is given for rows of codes."""

    columns: tuple[Column, ...]
    named: bool
    """Whether the estimator knows names, and so is given a frame."""
    missing: Mapping[str, Any] = field(default_factory=dict)
    """What stands for a missing category, by column; NaN where nothing is said."""

    def decode(self, rows: NDArray[np.floating[Any]]) -> Any:
        """A frame or an array of rows [N, F], whose numbers are float64; categories are texts, numbers or booleans."""
        values = [self._values(column, rows[:, j]) for j, column in enumerate(self.columns)]
        if self.named:
            return pd.DataFrame(
                {
                    column.name: pd.Series(each, dtype=each.dtype)
                    for column, each in zip(self.columns, values, strict=True)
                }
            )
        if all(column.categories is None for column in self.columns):
            return rows.astype(np.float64)
        return np.stack([each.astype(object) for each in values], axis=1)

    @staticmethod
    def one_row(values: Mapping[str, Any], *, named: bool) -> Any:
        """The frame or array of one row in an estimator's own values."""
        if named:
            return pd.DataFrame({name: [value] for name, value in values.items()})
        kind = object if any(isinstance(value, str | bool) for value in values.values()) else np.float64
        return np.array([list(values.values())], dtype=kind)

    def _values(self, column: Column, codes: NDArray[np.floating[Any]]) -> NDArray[Any]:
        if column.categories is None:
            return codes.astype(np.float64)
        return category_values(column.categories, self.missing.get(column.name, np.nan))[codes.astype(np.int64)]


def category_values(categories: Categories, missing: Any) -> NDArray[Any]:
    """The value of each code, [codes], as an estimator was trained with it."""
    if categories.type == BOOLEAN:
        known: Sequence[Any] = [bool(category_number(text)) for text in categories.values]
    elif categories.type == NUMBER:
        known = [category_number(text) for text in categories.values]
    else:
        known = categories.values
    other = code_values(categories)[categories.other_code]
    values = np.empty(categories.codes, dtype=object)
    values[:] = [*known, other if categories.type != NUMBER else float(other), missing]
    return values.astype(np.float64) if categories.type == NUMBER and missing is not None else values
