"""Page headers, checked before columns are streamed: a page may not be larger than the file's own bytes for its column.

pyarrow reserves, and fills, as much memory as a page's header says before it looks how much is left: 2 GB for one
damaged byte. Where it reads a column's bytes whole, it takes no more than there are, and nothing has to be checked.

A header is one struct, PageHeader (https://github.com/apache/parquet-format, parquet.thrift), in Thrift's compact
protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

HEADER_BYTES = 512
"""Bytes that are read at a time; more than most headers have."""
MOST_HEADER_BYTES = 1 << 24
"""pyarrow's own limit."""
SLACK_BYTES = 1 << 20
"""Bytes by which a page may exceed its column: old writers left the dictionary's header out of the count."""

# Types of the compact protocol.
TRUE, FALSE, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12
# Fields of PageHeader, and the first field of each of the headers inside: the number of values.
COMPRESSED_SIZE, DATA_PAGE, DATA_PAGE_2 = 3, 5, 8


def check_pages(file: pa.NativeFile, group: pq.RowGroupMetaData, names: Collection[str]) -> None:
    """Raise OSError for a page of these columns that is larger than its column.

    Headers that cannot be read are left to pyarrow, which says what is wrong with them.
    """
    for i in range(group.num_columns):
        chunk = group.column(i)
        if _is_of(chunk, names):
            _check_chunk(file, chunk)


def _is_of(chunk: pq.ColumnChunkMetaData, names: Collection[str]) -> bool:
    try:
        path = chunk.path_in_schema
    except UnicodeDecodeError:
        return True  # a damaged path tells nothing: pyarrow goes by the place in the schema
    return any(prefix in names for prefix in _prefixes(path))


def _prefixes(path: str) -> Sequence[str]:
    """The names that a leaf's column may have: a name may have dots, as the path inside a column has."""
    pieces = path.split(".")
    return [".".join(pieces[: i + 1]) for i in range(len(pieces))]


def _check_chunk(file: pa.NativeFile, chunk: pq.ColumnChunkMetaData) -> None:
    first = chunk.dictionary_page_offset
    at = chunk.data_page_offset if first is None else min(first, chunk.data_page_offset)
    size, values = file.size(), 0
    most = min(chunk.total_compressed_size + SLACK_BYTES, size)
    while 0 <= at < size and values < chunk.num_values:
        page = _read(file, at)
        if page is None:
            return
        if not 0 <= page.size <= most:
            raise OSError(f"a page of {page.size} bytes in a column of {chunk.total_compressed_size}")
        at += page.header + page.size
        values += page.values


@dataclass(frozen=True)
class _Page:
    header: int
    """Bytes of the header."""
    size: int
    """Bytes after it."""
    values: int
    """The number of values; 0 for a dictionary."""


def _read(file: pa.NativeFile, at: int) -> _Page | None:
    """The page whose header begins at a place of the file; None where there is no header."""
    count = HEADER_BYTES
    while count <= MOST_HEADER_BYTES:
        data = file.read_at(count, at)
        try:
            return _Header(data).page()
        except IndexError:
            if len(data) < count:
                return None
            count *= 8
        except _NoHeaderError:
            return None
    return None


class _NoHeaderError(Exception):
    """The bytes are no struct of the compact protocol."""


class _Header:
    """A position in the bytes of a header; reading on past them raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def page(self) -> _Page:
        """Read the header."""
        size, values = -1, 0
        field = 0
        while True:
            field, kind = self._field(field)
            if not kind:
                return _Page(self._at, size, values)
            if field == COMPRESSED_SIZE and kind in INTEGERS:
                size = self._integer()
            elif field in (DATA_PAGE, DATA_PAGE_2) and kind == STRUCT:
                values = self._first_integer()
            else:
                self._skip(kind)

    def _first_integer(self) -> int:
        """The first field of a struct, the rest of which is skipped."""
        field, kind = self._field(0)
        if field != 1 or kind not in INTEGERS:
            raise _NoHeaderError
        value = self._integer()
        self._skip_fields(field)
        return value

    def _field(self, before: int) -> tuple[int, int]:
        """The number and type of the next field; type 0 at the end of the struct."""
        delta, kind = divmod(self._byte(), 16)
        if not kind:
            return before, 0
        return before + delta if delta else self._integer(), kind

    def _skip_fields(self, field: int) -> None:
        kind = 1
        while kind:
            field, kind = self._field(field)
            if kind:
                self._skip(kind)

    def _skip(self, kind: int) -> None:
        if kind in (TRUE, FALSE):
            return
        if kind in INTEGERS:
            self._varint()
        elif kind == BINARY:
            self._advance(self._varint())
        elif kind == STRUCT:
            self._skip_fields(0)
        elif kind in (BYTE, DOUBLE):
            self._advance(1 if kind == BYTE else 8)
        elif kind in LISTS:
            count, inner = divmod(self._byte(), 16)
            for _ in range(count if count < 15 else self._varint()):
                self._skip(BYTE if inner in (TRUE, FALSE) else inner)
        else:
            raise _NoHeaderError

    def _advance(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise _NoHeaderError

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
