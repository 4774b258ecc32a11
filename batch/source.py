"""Parquet files as a stream of record batches, whatever their size and however their row groups are cut."""

import glob
import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch.fingerprint import Fingerprint
from batch.footer import Footer
from runtime.errors import DataError, JobError, UsageError, listing

# Each column that is read has a buffer of its own.
BUFFER_BYTES = 1 << 20
ALL_BUFFERS_BYTES = 64 << 20

LARGE_ROW_GROUP = 1 << 17
"""Rows; where row groups have as many, they are opened one by one."""


@dataclass(frozen=True)
class SourceFile:
    """One input file, as its footer describes it."""

    path: Path
    rows: int
    schema: pa.Schema
    """The file's own columns, then those that only its path gives."""
    row_group_ends: tuple[int, ...]
    """The row after the last one of each row group."""
    fingerprint: Fingerprint
    footer: Footer = field(repr=False)
    partition: Mapping[str, pa.Scalar] = field(default_factory=dict)
    """The columns that the path gives, `year=2026`, with the one value that each has in this file."""

    @property
    def name(self) -> str:
        """The value of the output's column `source_file`."""
        return self.path.as_posix()

    def row_group(self, row: int) -> int:
        """The index of the row group that holds a row."""
        return int(np.searchsorted(self.row_group_ends, row, side="right"))

    def place(self, row: int, last: int | None = None) -> str:
        """Where a row, or the rows up to `last`, are, for an error's message."""
        groups = dict.fromkeys(self.row_group(min(i, self.rows - 1)) for i in (row, row if last is None else last))
        return f"{self.name}, row group{'s' if len(groups) > 1 else ''} {' to '.join(map(str, groups))}"

    def batches(
        self, columns: Sequence[str], batch_rows: int, start: int = 0, stop: int | None = None
    ) -> Generator[tuple[int, pa.RecordBatch], None, None]:
        """The rows from `start` up to `stop` in order, `batch_rows` at a time, each batch with its first row's number.

        Row groups before `start` are not read; of the one that holds it, the rows before are decoded and dropped.
        Raises DataError naming the row group where the file cannot be read, or holds fewer rows than its footer says.
        """
        stop = self.rows if stop is None else stop
        if start >= stop:
            return
        groups = range(self.row_group(start), self.row_group(stop - 1) + 1)
        row, decoded = start, self.row_group_ends[groups.start - 1] if groups.start else 0
        select = _Selection(self, columns)
        try:
            with pa.OSFile(str(self.path)) as file:
                pending = _Rebatched(batch_rows)
                for batch in self._decoded(file, groups, select.own, batch_rows):
                    first, decoded = decoded, decoded + batch.num_rows
                    low, high = max(start - first, 0), min(stop - first, batch.num_rows)
                    pending.add(batch if high - low == batch.num_rows else batch.slice(low, max(high - low, 0)))
                    for whole in pending.whole(at_end=decoded >= stop):
                        yield row, select(whole)
                        row += whole.num_rows
                    if decoded >= stop:
                        return
        except (pa.ArrowException, OSError) as error:
            place = self.place(decoded, decoded + batch_rows - 1)
            raise DataError(f"cannot read: {_first_line(error)}, in {place}") from None
        raise DataError(f"expected {self.rows} rows, got {decoded}, in {self.name}")

    def _decoded(self, file: pa.NativeFile, groups: range, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of some row groups, about so many at a time."""
        asked = set(columns)
        is_dictionary = any(pa.types.is_dictionary(field.type) for field in self.schema if field.name in asked)
        is_large = self.rows >= LARGE_ROW_GROUP * len(self.row_group_ends)
        for window in self.footer.windows:
            if among := window.among(groups):
                metadata = self.footer.metadata(file, window)
                with pq.ParquetFile(file, metadata=metadata, **read_options(len(columns))) as opened:
                    # One row group at a time: then what a dictionary holds does not depend on where reading began.
                    for together in [[i] for i in among] if is_dictionary or is_large else [among]:
                        # What the threads have freed of the row groups before would stay beside what these take.
                        pa.default_memory_pool().release_unused()
                        yield from opened.iter_batches(rows, row_groups=together, columns=columns)

    def check_unchanged(self) -> None:
        """Raises JobError if the file has been replaced or written to since it was opened first."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise DataError(f"cannot read: {error.strerror}, in {self.name}") from None
        if (status.st_size, status.st_mtime_ns) != (self.fingerprint.size, self.fingerprint.modified_ns):
            raise JobError(f"the file changed while the run read it, in {self.name}; --overwrite starts anew")


def discover(inputs: Sequence[str]) -> list[Path]:
    """The Parquet files that files, folders and glob patterns name: in the order given, each folder or glob sorted.

    In folders, names that begin with "_" or "." are passed over, and links to folders are not followed. Raises
    UsageError for an input that names no file, and for a file named twice; DataError for a folder that cannot be read.
    """
    paths: list[Path] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = sorted(_files_below(path))
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


def open_source(path: Path, partition: Mapping[str, pa.Scalar] | None = None) -> SourceFile:
    """Read a file's footer; DataError where there is none that can be read.

    Args:
        path: the file.
        partition: the columns that its path gives; where the file has a column of that name, the file's own counts.
    """
    try:
        fingerprint = Fingerprint.read(path)
        with pa.OSFile(str(path)) as file:
            footer, counts = Footer.read(file), []
            for window in footer.windows:
                metadata = footer.metadata(file, window)
                counts += [metadata.row_group(i).num_rows for i in range(window.count)]
            schema = pq.ParquetFile(file, metadata=metadata, **read_options(1)).schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"expected a Parquet file, got one that cannot be read ({_first_line(error)}), in {path}"
        ) from None
    if sum(counts) != metadata.num_rows:
        raise DataError(
            f"expected {metadata.num_rows} rows as the footer says, got {sum(counts)} in row groups, in {path}"
        )
    added = {name: value for name, value in (partition or {}).items() if name not in schema.names}
    fields = [*schema, *(pa.field(name, value.type) for name, value in added.items())]
    return SourceFile(
        path=path,
        rows=metadata.num_rows,
        schema=pa.schema(fields),
        row_group_ends=tuple(int(end) for end in np.cumsum(counts)),
        fingerprint=fingerprint,
        footer=footer,
        partition=added,
    )


def read_options(columns: int) -> dict[str, Any]:
    """How files are opened of which so many columns are read.

    pyarrow's defaults read a whole row group ahead; these stream inside one. A page's checksum, if any, is verified.
    """
    buffer = max(min(ALL_BUFFERS_BYTES // max(columns, 1), BUFFER_BYTES), 1 << 14)
    return {"pre_buffer": False, "buffer_size": buffer, "page_checksum_verification": True}


class _Selection:
    """Some columns of a source and no others: what Arrow selects by name may be more ("a" also selects "a.b")."""

    def __init__(self, source: SourceFile, columns: Sequence[str]) -> None:
        self.own = [name for name in columns if name not in source.partition]
        """The columns that the file itself has."""
        self._added = [(i, name) for i, name in enumerate(columns) if name in source.partition]
        self._source = source
        self._places: list[int] | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """These columns of a batch of the file, with those that its path gives."""
        if self._places is None:
            place = {name: i for i, name in enumerate(batch.schema.names)}
            self._places = [place[name] for name in self.own]
        selected = batch.select(self._places)
        for i, name in self._added:
            values = pa.repeat(self._source.partition[name], batch.num_rows)
            selected = selected.add_column(i, self._source.schema.field(name), values)
        return selected


class _Rebatched:
    """The same rows in batches of exactly `rows`, the last one shorter: Arrow may cut long strings smaller."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._pending: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._pending.append(batch)

    def whole(self, at_end: bool) -> Iterator[pa.RecordBatch]:
        """The batches that are complete; at the end also what is left."""
        count = sum(batch.num_rows for batch in self._pending)
        if count < self._rows and not (at_end and count):
            return
        joined = self._pending[0] if len(self._pending) == 1 else pa.concat_batches(self._pending)
        end = count if at_end else count - count % self._rows
        self._pending = [joined.slice(end)] if end < count else []
        if end == joined.num_rows <= self._rows:
            yield joined
            return
        for start in range(0, end, self._rows):
            yield joined.slice(start, min(self._rows, end - start))


def _files_below(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        # What lies in there would be missing from the output, and nobody would know.
        raise DataError(f"cannot read: {error.strerror}, in {error.filename}")

    for root, _, names in os.walk(folder, onerror=fail):
        for path in (Path(root, name) for name in names if name.endswith(".parquet")):
            if _is_visible(path.relative_to(folder)) and path.is_file():
                yield path


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.parts)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
