"""The rows that variants are measured with, and are not calibrated with."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import UsageError, WhyportError
from whyport.runtime.paths import path_text
from whyport.runtime.session import Session
from whyport.runtime.tables import read_table, table_format, text_columns, typed_columns

logger = logging.getLogger(__name__)

MOST_ROWS, MOST_VALUES = 4096, 1 << 26
"""The most rows, and the most values of them, that are measured with."""

Matrix = NDArray[np.float32]


def read_rows(session: Session, path: Path) -> Matrix:
    """The rows of a CSV or Parquet file as the model takes them, [N, F]; of a long file some, at even distances.

    Raises UsageError where there is none, and DataError where they do not fit.
    """
    columns = session.bundle.sidecar.columns
    table = read_table(path, (), text_columns(columns))
    table = table.take(_even(table.num_rows, len(session.bundle.sidecar.features), path))
    if not table.num_rows:
        raise UsageError(f"rows: expected rows to measure with, got none, in {path_text(path)}")
    try:
        rows = typed_columns(table, columns) if table_format(path) == "csv" else table
        return session.encode(rows).matrix
    except WhyportError as error:
        raise error.at(path_text(path)) from None


def rows_beside(rows: Matrix, references: Matrix) -> Matrix | None:
    """The rows [N, F] of a sample that are none of the references; None where all are."""
    used = {row.tobytes() for row in references}
    others = np.array([i for i, row in enumerate(rows) if row.tobytes() not in used], dtype=np.int64)
    if not len(others):
        return None
    return rows[others[_even(len(others), rows.shape[1], "the sample")]]


def _even(count: int, width: int, of: object) -> NDArray[np.int64]:
    """The positions of the rows that are taken: all, or as many as are allowed at even distances."""
    most = min(MOST_ROWS, max(1, MOST_VALUES // width))
    if count <= most:
        return np.arange(count)
    logger.info("%d of %d rows are measured with, at even distances, of %s", most, count, of)
    return np.linspace(0, count - 1, most).astype(np.int64)
