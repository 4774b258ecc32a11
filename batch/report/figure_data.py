"""The numbers behind a page's figures, which its readers save as CSV."""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.picture import Data

DIGITS, FEW_DIGITS, MANY = 6, 4, 200
"""The significant digits of a number that is saved, more than any figure shows, and those of more cells than MANY."""


class FigureData:
    """The numbers of some figures, kept as columns: one that several figures show is there once."""

    def __init__(self) -> None:
        self._columns: list[list[Any]] = []
        self._places: dict[str, int] = {}
        self._figures: dict[str, dict[str, list[Any]]] = {}

    def add(self, key: str, data: Data) -> None:
        """Add a figure's columns, of one length each, under its element's id."""
        columns = {name: _cells(values) for name, values in data.items()}
        assert len({len(cells) for cells in columns.values()}) == 1, (key, {n: len(c) for n, c in columns.items()})
        self._figures[key] = {"head": list(columns), "columns": [self._place(cells) for cells in columns.values()]}

    def packed(self) -> str:
        """The figures as base64 of zlib's JSON: `columns`, and by id a `head` and the places of its `columns`."""
        document = {"columns": self._columns, "figures": self._figures}
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    def _place(self, cells: list[Any]) -> int:
        key = json.dumps(cells)
        if key not in self._places:
            self._places[key] = len(self._columns)
            self._columns.append(cells)
        return self._places[key]


def _cells(values: Sequence[Any] | NDArray[Any]) -> list[Any]:
    """Texts as they are, whole numbers whole, others in some digits; nothing where one is not finite."""
    if isinstance(values, np.ndarray):
        values = values.astype(np.float64 if values.dtype.kind == "f" else values.dtype).tolist()
    digits = DIGITS if len(values) <= MANY else FEW_DIGITS
    return [_cell(value, digits) for value in values]


def _cell(value: Any, digits: int) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, float):
        return value
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 10**DIGITS else rounded
