"""Small tables in memory, read from and written to CSV or Parquet."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from whyport.runtime.bundle.columns import TEXT, TIME, Column
from whyport.runtime.errors import ColumnError, DataError, UsageError, listing, message_line
from whyport.runtime.inputs.categories import BOOLEANS, is_text
from whyport.runtime.paths import open_file, path_text

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet")

SEPARATORS = ";\t|"
"""The separators of values in files that are called CSV, besides commas."""
LINE_BYTES = 1 << 16
MOST_BYTES = (1 << 31) - 1
"""The most bytes of a CSV file that decide the types of its columns."""
MISSING = ("None", "<NA>")
"""Missing numbers in a CSV file, as pandas writes and reads them, beside those that Arrow knows."""
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def table_format(path: str | Path) -> str:
    """The format of a file by its name, "csv" or "parquet"; raises UsageError for any other name."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"expected a file named *.csv or *.parquet, got {str(path)!r}")
    return suffix[1:]


def read_table(path: str | Path, keep: Sequence[str] = (), texts: Sequence[str] = ()) -> Any:
    """The pyarrow.Table of a CSV or Parquet file; raises DataError if it cannot be read.

    Args:
        path: the file.
        keep: the columns whose INT96 times are read in a unit that holds them.
        texts: the columns of a CSV file that are text, whatever they look like.
    """
    import pyarrow as pa

    is_csv = table_format(path) == "csv"
    place = Path(path)
    if not is_csv:
        check_file(place)
    try:
        with open_file(place) as file:
            table = _read_csv(file, texts) if is_csv else _read_parquet(file, keep)
        names = table.column_names  # a CSV file's are decoded here
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {path_text(path)!r}: expected text in UTF-8, got {error.object!r}") from None
    except (pa.ArrowException, OSError) as error:
        hint = separator_hint(place) if is_csv else ""
        raise DataError(f"cannot read {path_text(path)!r}: {message_line(error)}{hint}") from None
    for name in keep:
        # Texts that are not UTF-8 are bytes to pyarrow, which a CSV file cannot hold.
        if is_csv and names.count(name) == 1 and pa.types.is_binary(table.schema.field(name).type):
            raise DataError(f"column {name!r}: expected text in UTF-8, got other bytes, in {path_text(path)}")
    return table


def text_columns(columns: Sequence[Column]) -> list[str]:
    """The columns that are text to a model: in a CSV file, the text 01 looks like a number."""
    return [
        column.name
        for column in columns
        if column.kind == TEXT or (column.categories is not None and column.categories.type == "text")
    ]


def typed_columns(table: Any, columns: Sequence[Column]) -> Mapping[str, Any]:
    """The columns of a CSV file's table for a model: one bad value makes a column of codes or times a column of text.

    Every other value is what it is in a column without a bad one: a number, a boolean, a time, or missing.
    """
    typed = {name: table.column(name) for name in table.column_names}
    absent = _missing_texts()
    for column in columns:
        known, found = column.categories, typed.get(column.name)
        is_typed = column.kind == TIME if known is None else known.type != "text"
        if is_typed and found is not None and is_text(found.type):
            texts = [None if text is None or text.strip() in absent else text for text in found.to_pylist()]
            typed[column.name] = texts if column.kind == TIME else list(map(_csv_value, texts))
    return typed


def _csv_value(text: str | None) -> str | float | bool | None:
    """The number or boolean that a text of a CSV file stands for; the text where it is neither."""
    if text is None or text.strip().lower() in BOOLEANS:
        return None if text is None else text.strip().lower() == BOOLEANS[1]
    return float(text) if DECIMAL.fullmatch(text.strip()) else text


def _missing_texts() -> frozenset[str]:
    """The texts that stand for no value in a CSV file's columns, other than those of text."""
    import pyarrow.csv

    return frozenset([*pyarrow.csv.ConvertOptions().null_values, *MISSING])


def check_file(path: Path) -> None:
    """Raise DataError for what is there and is no file: a pipe would be waited for, and cannot be read twice."""
    if path.exists() and not path.is_file():
        raise DataError(f"cannot read {path_text(path)!r}: expected a file, got something else")


def separator_hint(path: Path) -> str:
    """A hint for a file whose values are not separated by commas, as its first line shows; otherwise empty."""
    try:
        with path.open("rb") as file:
            line = file.readline(LINE_BYTES).decode(errors="replace")
    except OSError:
        return ""
    separator = max(SEPARATORS, key=line.count)
    if line.count(separator) <= line.count(","):
        return ""
    return (
        f"; its values are separated by {separator!r}, expected commas: "
        f"pandas.read_csv({path.name!r}, sep={separator!r}).to_csv(…, index=False) writes them so"
    )


def write_table(table: Any, file: BinaryIO, file_format: str) -> None:
    """Write a pyarrow.Table as "csv" or "parquet"; raises ColumnError for columns that a CSV file cannot hold."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if file_format == "csv":
        nested = [field.name for field in table.schema if field.type.num_fields and not _is_dictionary(field.type)]
        if nested:
            raise ColumnError(f"columns {listing(nested)}: a CSV file holds no lists or structs; write *.parquet")
        try:
            pyarrow.csv.write_csv(table, file)
        except pa.ArrowException as error:
            raise ColumnError(f"a CSV file cannot hold the columns: {message_line(error)}; write *.parquet") from None
    else:
        pyarrow.parquet.write_table(table, file, compression="zstd")


def _is_dictionary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(kind))


def _read_csv(file: "pa.NativeFile", texts: Sequence[str]) -> Any:
    import pyarrow as pa
    import pyarrow.csv

    # One block: the types of columns follow from all of their values.
    size = min(max(file.size() + 1, LINE_BYTES), MOST_BYTES)
    return pyarrow.csv.read_csv(
        file,
        pyarrow.csv.ReadOptions(block_size=size),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=sorted(_missing_texts()), column_types=dict.fromkeys(texts, pa.string())
        ),
    )


def _read_parquet(file: "pa.NativeFile", keep: Sequence[str]) -> Any:
    import pyarrow.parquet as pq

    from whyport.runtime.inputs.int96 import UNITS, Int96Needs, int96_columns

    columns = sorted(int96_columns(file, pq.read_metadata(file)) & set(keep))
    unit = "us"
    if columns:
        by_unit = (pq.ParquetFile(file, coerce_int96_timestamp_unit=each).read(columns) for each in UNITS)
        unit = Int96Needs.of(columns, by_unit).unit
    return pq.ParquetFile(file, coerce_int96_timestamp_unit=unit, page_checksum_verification=True).read()
