"""Texts of a table that are none: Parquet promises UTF-8, and not every writer keeps the promise."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from whyport.runtime.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def check_utf8(table: "pa.RecordBatch | pa.Table", names: Iterable[str]) -> None:
    """Raise DataError for a column whose texts, at any depth, are not UTF-8: no reader of a copy could show them."""
    import pyarrow as pa

    for name in names:
        column = table.column(name)
        if "string" not in str(column.type):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            raise DataError(
                f"column {name!r}: expected text in UTF-8, got other bytes: write it as UTF-8, or as binary"
            ) from None
