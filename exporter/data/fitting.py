"""The rows of a table that have every value that a model cannot do without."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import Column, takes_missing
from whyport.runtime.errors import MissingValueError
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.sources import element
from whyport.runtime.inputs.table import Columns

logger = logging.getLogger(__name__)


def fitting_rows(
    frame: pd.DataFrame, columns: Columns, features: Sequence[Column], matrix: NDArray[np.float32], where: str
) -> NDArray[np.int64]:
    """The places of the rows that are whole; a warning counts the others, and says what the first of them lacks.

    Args:
        frame: the table.
        columns: the columns that the rows are made of.
        features: the numbers of a row, in order.
        matrix: the rows [N, F]; NaN where a value is missing, or a list does not fit.
        where: the table's name.

    Raises:
        MissingValueError: no row is whole.
    """
    needed = np.array([not takes_missing(feature) for feature in features])
    lacks = np.isnan(matrix) & needed
    left_out = np.flatnonzero(lacks.any(axis=1))
    if len(left_out):
        row = int(left_out[0])
        first = _fault(frame, columns, row, int(np.flatnonzero(lacks[row])[0]))
        if len(left_out) == len(matrix):
            raise MissingValueError(f"every row lacks a value; the first: {first}")
        logger.warning("%d of %d rows are left out; the first: %s, in %s", len(left_out), len(matrix), first, where)
    return np.setdiff1d(np.arange(len(matrix)), left_out)


def _fault(frame: pd.DataFrame, columns: Columns, row: int, feature: int) -> str:
    """The reason why a row has no such feature, in words."""
    j = int(columns.column_of[feature])
    name, encoder = columns.names[j], columns.encoders[j]
    fault = "expected a number, got a missing value"
    if isinstance(encoder, CellsEncoder):
        fault = encoder.fault(element(frame[name], row))
    return f"column {name!r}, row {row}: {fault}"
