"""Reads a training or sample table, and takes its feature columns."""

import csv
import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.runtime.errors import (
    ColumnError,
    DataError,
    TrainingError,
    ValueRangeError,
    listing,
    message_line,
    unknown,
)
from whyport.runtime.inputs.columns import ColumnFaults, pasted
from whyport.runtime.inputs.table import column_arrays
from whyport.runtime.inputs.utf8 import check_utf8
from whyport.runtime.tables import check_file, read_table, separator_hint, table_format

logger = logging.getLogger(__name__)


def read_frame(path: Path, texts: Sequence[str] = ()) -> pd.DataFrame:
    """A CSV or Parquet file as a frame with at least one row.

    An empty text of a CSV file is a missing value.

    Args:
        path: the file.
        texts: the columns of a CSV file that are text, whatever they look like.

    Raises:
        UsageError: the file is of another kind. DataError: it cannot be read. ColumnError: columns have the same name.
        TrainingError: the table is empty.
    """
    is_csv = table_format(path) == "csv"
    check_file(path)
    try:
        _check_names(_csv_header(path) if is_csv else pq.read_schema(path).names)
        table = read_table(path, texts=texts)
        frame: pd.DataFrame = table.to_pandas()
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {str(path)!r}: expected text in UTF-8, got {error.object!r}") from None
    except (ValueError, OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {str(path)!r}: {message_line(error)}") from None
    except ColumnError as error:
        raise error.at(str(path)) from None
    try:
        check_utf8(table, table.column_names)
    except DataError as error:
        raise error.at(str(path)) from None
    if is_csv and len(frame.columns) == 1 and (hint := separator_hint(path)):
        raise DataError(f"expected several columns, got one{hint}, in {path}")
    if "" in frame.columns:
        logger.warning("a column without a name, such as the index that pandas writes, is passed over, in %s", path)
    if frame.empty:
        raise TrainingError(f"expected rows, got an empty table, in {path}")
    return frame.replace("", None) if is_csv else frame


def choose_features(
    frame: pd.DataFrame, chosen: Sequence[str], excluded: Sequence[str], target: str | None = None
) -> tuple[str, ...]:
    """The names of the feature columns: the chosen ones in that order, or else all but the target and the excluded.

    Raises ColumnError for a column that the table does not have, or that cannot be a feature.
    """
    return choose_names(list(map(str, frame.columns)), chosen, excluded, target)


def choose_names(
    known: Sequence[str], chosen: Sequence[str], excluded: Sequence[str], target: str | None = None
) -> tuple[str, ...]:
    """Do what `choose_features` does, for the names of a table's columns; one without a name is passed over."""
    asked = dict.fromkeys([*([target] if target is not None else []), *chosen, *excluded])
    strange = [name for name in asked if name not in known]
    if len(strange) == 1:
        raise ColumnError(unknown("column", strange[0], known))
    if strange:
        raise ColumnError(
            f"unknown columns: {pasted(strange)} ({len(strange)} of {len(asked)}); known: {pasted(known)}"
        )
    _check_names(chosen)
    if target in chosen:
        raise ColumnError(f"column {target!r} is the target and cannot be a feature")
    names = tuple(name for name in chosen or filter(None, known) if name != target and name not in excluded)
    if not names:
        raise ColumnError(f"expected feature columns, got none; the table has {listing(known)}")
    return names


def check_header(
    path: Path, chosen: Sequence[str], excluded: Sequence[str], target: str | None = None, *, numbers: bool = True
) -> tuple[str, ...]:
    """Check what a table's header alone shows, before anything costly begins; returns the feature columns.

    Args:
        path: the table.
        chosen: the feature columns; empty for all but the others.
        excluded: columns that are no features.
        target: the column to learn, which is none either.
        numbers: whether every feature has to be a number.

    Raises:
        UsageError: the file is of another kind. DataError: it cannot be read. ColumnError: columns are missing, or a
        Parquet file says that they are not numeric.
    """
    is_csv = table_format(path) == "csv"
    check_file(path)
    try:
        schema = None if is_csv else pq.read_schema(path)
        header = _csv_header(path) if schema is None else schema.names
    except (ValueError, OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {str(path)!r}: {message_line(error)}") from None
    try:
        _check_names(header)
        names = choose_names(header, chosen, excluded, target)
        if schema is not None and numbers:
            _check_types(schema, names)
    except ColumnError as error:
        hint = separator_hint(path) if is_csv else ""
        raise ColumnError(f"{error}{hint}, in {path}") from None
    return names


def _check_types(schema: pa.Schema, names: Sequence[str]) -> None:
    faults = ColumnFaults(schema.names)

    def wrong_type(name: str) -> str | None:
        kind = schema.field(name).type
        held = kind.value_type if pa.types.is_dictionary(kind) else kind
        return str(kind) if any(is_other(held) for is_other in NOT_NUMERIC) else None

    faults.check_types(names, wrong_type, "columns that are not one number a row")
    if faults.found:
        raise ColumnError(f"{'; '.join(faults.found)}; {OTHER_COLUMNS}")


NOT_NUMERIC = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_temporal,
    pa.types.is_nested,
)
"""Tells the types that are no numbers, whatever their values are."""

OTHER_COLUMNS = "choose other columns with --features or --exclude"


def feature_arrays(frame: pd.DataFrame, names: Sequence[str], advice: str = OTHER_COLUMNS) -> list[NDArray[Any]]:
    """One numeric or boolean array a feature; a missing value is NaN.

    Args:
        frame: the table.
        names: the columns.
        advice: what to do about a column that cannot be a feature.

    Raises:
        ColumnError: a column is missing, or not numeric. ValueRangeError: an infinity.
    """
    try:
        columns = column_arrays(frame, names)
    except ColumnError as error:
        raise ColumnError(f"{error}; {advice}") from None
    for name, column in zip(names, columns, strict=True):
        for row in np.flatnonzero(np.isinf(column)):
            raise ValueRangeError(f"column {name!r}, row {row}: expected a finite value, got {column[row]}")
    return columns


def digest(*paths: Path) -> str:
    """sha256 over the files' contents, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _csv_header(path: Path) -> list[str]:
    # pandas renames columns of the same name without a word.
    with path.open(newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file), [])


def _check_names(names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ColumnError(f"columns that occur more than once: {pasted(repeated)} ({len(repeated)} of {len(names)})")
