"""Parquet files as a stream of record batches, for files of any size with row groups of any size."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from whyport.batch.arrow import select
from whyport.batch.source.decoding import Decoder, OpenedFile
from whyport.batch.source.discovery import CSV_ADVICE, CSV_SUFFIXES
from whyport.batch.source.fetched import fetched
from whyport.batch.source.files import Fingerprint, open_marked
from whyport.batch.source.footer import Footer
from whyport.runtime.errors import DataError, JobError, StoreError, message_line
from whyport.runtime.paths import open_file, path_text
from whyport.runtime.store.client import ChangedError
from whyport.runtime.store.path import Place, StorePath

INT96_UNIT = "us"
"""The unit of INT96 times, unless they have nanoseconds: Spark and Hive use INT96 for dates far away, as 9999-12-31."""


@dataclass(frozen=True)
class SourceFile:
    """One input file as described by its footer."""

    path: Place
    rows: int
    schema: pa.Schema
    """The file's own columns, then the columns that only its path gives."""
    row_group_ends: tuple[int, ...]
    """The row after the last one of each row group."""
    fingerprint: Fingerprint
    footer: Footer = field(repr=False)
    partition: Mapping[str, pa.Scalar] = field(default_factory=dict)
    """The columns that the path gives, such as `year=2026`, with their one value in this file."""
    int96_unit: str = INT96_UNIT
    """The unit that INT96 times are read in."""
    place: Place = field(init=False, repr=False, compare=False)
    """The absolute path: the file is found after a change of the working folder, too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.path.absolute())

    @property
    def name(self) -> str:
        """The value of the output's column `source_file`: the path as it was given."""
        return path_text(self.path.as_posix())

    def row_group(self, row: int) -> int:
        """The index of the row group that holds a row."""
        return int(np.searchsorted(self.row_group_ends, row, side="right"))

    def batches(
        self, columns: Sequence[str], batch_rows: int, start: int = 0, stop: int | None = None
    ) -> Generator[tuple[int, pa.RecordBatch], None, None]:
        """The rows from `start` up to `stop` in order, `batch_rows` at a time, each batch with its first row's number.

        Row groups before `start` are not read. In the one that holds `start`, earlier rows are decoded and dropped.
        Raises DataError naming the row group if the file cannot be read or holds fewer rows than its footer says.
        """
        stop = self.rows if stop is None else stop
        if start >= stop:
            return
        groups = range(self.row_group(start), self.row_group(stop - 1) + 1)
        row, decoded = start, self.row_group_ends[groups.start - 1] if groups.start else 0
        selection, rebatched = _Selection(self, columns), _Rebatched(batch_rows)
        try:
            with closing(self._read(groups, selection.own, batch_rows)) as batches:
                for batch in batches:
                    end = decoded + batch.num_rows
                    low, high = max(start - decoded, 0), min(stop - decoded, batch.num_rows)
                    for whole in rebatched.add(batch.slice(low, max(high - low, 0)), is_last=end >= stop):
                        yield row, selection(whole)
                        row += whole.num_rows
                    if end >= stop:
                        return
                    decoded = end
        except ChangedError:
            raise self._changed() from None
        except (pa.ArrowException, OSError) as error:
            reason = error.strerror if isinstance(error, StoreError) else message_line(error)
            group = self.row_group(decoded)
            raise DataError(f"cannot read: {reason}, in {self.name}, row group {group}") from None
        raise DataError(f"expected {self.rows} rows, got {decoded}, in {self.name}")

    def _read(self, groups: range, columns: list[str], batch_rows: int) -> Generator[pa.RecordBatch, None, None]:
        """The rows of some row groups; those of an object in a store come with few requests."""
        if isinstance(self.place, StorePath):
            for some, file in fetched(self.place, self.fingerprint.meta, self.footer, groups, columns):
                yield from self._decoded(file, some, columns, batch_rows)
            return
        with open_file(self.place) as file:
            yield from self._decoded(file, groups, columns, batch_rows)

    def _decoded(
        self, file: pa.NativeFile, groups: range, columns: list[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The rows of some row groups, in batches of any size."""
        asked = set(columns)
        decoder = Decoder(columns, [field.type for field in self.schema if field.name in asked], batch_rows)
        for window in self.footer.windows:
            if among := window.among(groups):
                metadata = self.footer.metadata(file, window)
                yield from decoder.batches(OpenedFile(file, metadata, self.int96_unit), among)

    @property
    def is_read_by_version(self) -> bool:
        """Whether every read names the version of the file that was first opened, and gets no other."""
        return self.fingerprint.tag.entity is not None

    def check_unchanged(self) -> None:
        """Raise JobError if the file has been replaced or written to since it was first opened."""
        try:
            is_same = self.fingerprint.is_of(self.place)
        except OSError as error:
            raise DataError(f"cannot read: {error.strerror}, in {self.name}") from None
        if not is_same:
            raise self._changed()

    def _changed(self) -> JobError:
        return JobError(f"the file changed while the run read it, in {self.name}; --overwrite starts anew")


def open_source(
    path: Place, partition: Mapping[str, pa.Scalar] | None = None, int96_unit: str = INT96_UNIT
) -> SourceFile:
    """Read a file's footer; raises DataError where there is no readable footer.

    Args:
        path: the file.
        partition: the columns that the file's path gives; the file's own columns take precedence.
        int96_unit: the unit that INT96 times are read in: "us", "ns", or another one of Arrow's.
    """
    try:
        fingerprint, file = open_marked(path)
        with file:
            footer, counts = Footer.read(file), []
            for window in footer.windows:
                metadata = footer.metadata(file, window)
                counts += [metadata.row_group(i).num_rows for i in range(window.count)]
            schema = OpenedFile(file, metadata, int96_unit).whole.schema_arrow
            for own in schema:
                str(own)  # names at any depth are decoded
    except StoreError as error:
        raise DataError(f"cannot read: {error.strerror}, in {path_text(path)}") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{_not_parquet(path)} ({message_line(error)}), in {path_text(path)}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"expected names of columns in UTF-8, got {error.object!r}, in {path_text(path)}") from None
    if sum(counts) != metadata.num_rows:
        raise DataError(
            f"expected {metadata.num_rows} rows as the footer says, got {sum(counts)} in row groups, "
            f"in {path_text(path)}"
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
        int96_unit=int96_unit,
    )


def _not_parquet(path: Place) -> str:
    if path.name.lower().endswith(CSV_SUFFIXES):
        return f"expected a Parquet file, got a text file; {CSV_ADVICE}"
    return "expected a Parquet file, got one that cannot be read"


class _Selection:
    """Exactly the named columns of a source: Arrow's selection by name may give more ("a" also selects "a.b")."""

    def __init__(self, source: SourceFile, columns: Sequence[str]) -> None:
        self.own = [name for name in columns if name not in source.partition]
        """The columns that the file itself has."""
        self._added = [(i, name) for i, name in enumerate(columns) if name in source.partition]
        self._source = source
        self._places: list[int] | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The selected columns of a batch from the file, with the columns that its path gives."""
        if self._places is None:
            place = {name: i for i, name in enumerate(batch.schema.names)}
            self._places = [place[name] for name in self.own]
        selected = select(batch, self._places)
        for i, name in self._added:
            values = pa.repeat(self._source.partition[name], batch.num_rows)
            selected = selected.add_column(i, self._source.schema.field(name), values)
        return selected


class _Rebatched:
    """The same rows in batches of exactly `rows` rows; only the last one is shorter."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._pieces: list[pa.RecordBatch] = []
        self._missing = rows

    def add(self, batch: pa.RecordBatch, is_last: bool) -> Iterator[pa.RecordBatch]:
        """The batches that these rows complete; at the end, also the remaining rows."""
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, self._missing)
            start += piece.num_rows
            self._pieces.append(piece)
            self._missing -= piece.num_rows
            if not self._missing:
                yield self._joined()
        if is_last and self._pieces:
            yield self._joined()

    def _joined(self) -> pa.RecordBatch:
        pieces, self._pieces, self._missing = self._pieces, [], self._rows
        return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)
