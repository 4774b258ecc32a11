"""Parquet files as a stream of record batches, whatever their size and however their row groups are cut."""

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runtime.errors import DataError, UsageError, listing

# pyarrow's defaults read a whole row group ahead; these stream inside one.
READ_OPTIONS: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 20}


@dataclass(frozen=True)
class SourceFile:
    """One input file, as its footer describes it."""

    path: Path
    rows: int
    schema: pa.Schema
    row_group_ends: tuple[int, ...]
    """The row after the last one of each row group."""

    @property
    def name(self) -> str:
        """The value of the output's column `source_file`."""
        return self.path.as_posix()

    def row_group(self, row: int) -> int:
        """The index of the row group that holds a row."""
        return int(np.searchsorted(self.row_group_ends, row, side="right"))

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows in order, `batch_rows` at a time across row groups, each batch with the number of its first row.

        Raises DataError naming the row group where the file cannot be read, or holds fewer rows than its footer says.
        """
        row = 0
        try:
            with pq.ParquetFile(self.path, **READ_OPTIONS) as file:
                for batch in _rebatched(file.iter_batches(batch_rows, columns=list(columns)), batch_rows):
                    # A selection by name may bring more: "a" also selects a column called "a.b".
                    yield row, batch.select(list(columns))
                    row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            place = f"{self.name}, row group {self.row_group(row)}"
            raise DataError(f"cannot read: {_first_line(error)}, in {place}") from None
        if row != self.rows:
            raise DataError(f"expected {self.rows} rows, got {row}, in {self.name}")


def discover(inputs: Sequence[str]) -> list[Path]:
    """The Parquet files that files, folders and glob patterns name: in the order given, each folder or glob sorted.

    In folders, names that begin with "_" or "." are passed over. Raises UsageError for an input that names no file, and
    for a file named twice.
    """
    paths: list[Path] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*.parquet") if _is_visible(p.relative_to(path)) and p.is_file())
        elif path.is_file():
            found = [path]
        else:
            found = sorted(Path(match) for match in glob.glob(text, recursive=True) if Path(match).is_file())
        if not found:
            raise UsageError(
                f"expected Parquet files, a folder of them or a glob pattern, got {text!r}, which names none"
            )
        paths += found
    repeated = [str(path) for path, count in Counter(p.resolve() for p in paths).items() if count > 1]
    if repeated:
        raise UsageError(f"inputs named twice: {listing(repeated)}")
    return paths


def open_source(path: Path) -> SourceFile:
    """Read a file's footer; DataError where there is none that can be read."""
    try:
        with pq.ParquetFile(path, **READ_OPTIONS) as file:
            metadata = file.metadata
            counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            ends = tuple(int(end) for end in np.cumsum(counts))
            return SourceFile(path=path, rows=metadata.num_rows, schema=file.schema_arrow, row_group_ends=ends)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"expected a Parquet file, got one that cannot be read ({_first_line(error)}), in {path}"
        ) from None


def _rebatched(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly `rows`, the last one shorter: Arrow may cut long strings smaller."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(part.num_rows for part in pending) < rows:
            continue
        joined = pending[0] if len(pending) == 1 else pa.concat_batches(pending)
        whole = joined.num_rows - joined.num_rows % rows
        for start in range(0, whole, rows):
            yield joined.slice(start, rows)
        pending = [joined.slice(whole)] if whole < joined.num_rows else []
    if pending:
        yield pa.concat_batches(pending)


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.parts)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
