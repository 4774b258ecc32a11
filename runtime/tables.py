"""Small tables in memory, read from and written to CSV or Parquet."""

from pathlib import Path
from typing import Any, BinaryIO

from whyport.runtime.errors import DataError, UsageError

SUFFIXES = (".csv", ".parquet")


def table_format(path: str | Path) -> str:
    """The format of a file by its name, "csv" or "parquet"; raises UsageError for any other name."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"expected a file named *.csv or *.parquet, got {str(path)!r}")
    return suffix[1:]


def read_table(path: str | Path) -> Any:
    """The pyarrow.Table of a CSV or Parquet file; raises DataError if it cannot be read."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    is_csv = table_format(path) == "csv"
    try:
        return pyarrow.csv.read_csv(path) if is_csv else pyarrow.parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from None


def write_table(table: Any, file: BinaryIO, file_format: str) -> None:
    """Write a pyarrow.Table as "csv" or "parquet"."""
    import pyarrow.csv
    import pyarrow.parquet

    if file_format == "csv":
        pyarrow.csv.write_csv(table, file)
    else:
        pyarrow.parquet.write_table(table, file, compression="zstd")
