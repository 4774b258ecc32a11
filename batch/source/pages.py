"""Page headers, checked before columns are streamed: a page may not be larger than the file's own bytes for its column.

pyarrow reserves, and fills, as much memory as a page's header says before it looks how much is left: 2 GB for one
damaged byte. Where it reads a column's bytes whole, it takes no more than there are, and nothing has to be checked.

Footers and headers are structs of https://github.com/apache/parquet-format, parquet.thrift. pyarrow's own view of a
column's chunk is not asked: where a footer's size statistics are damaged, that ends the process.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.source.compact import INTEGERS, LISTS, STRUCT, Compact, NotCompactError

HEADER_BYTES = 512
"""Bytes that are read at a time; more than most headers have."""
MOST_HEADER_BYTES = 1 << 24
"""pyarrow's own limit."""
SLACK_BYTES = 1 << 20
"""Bytes by which a page may exceed its column: old writers left the dictionary's header out of the count."""

ROW_GROUPS = 4
"""The field of FileMetaData."""
COLUMNS = 1
"""The field of RowGroup."""
COLUMN_METADATA = 3
"""The field of ColumnChunk; absent where it is encrypted."""
VALUES, SIZE, DATA_PAGE_OFFSET, DICTIONARY_PAGE_OFFSET = 5, 7, 9, 11
"""Fields of ColumnMetaData."""
COMPRESSED_SIZE, DATA_PAGE, DATA_PAGE_2 = 3, 5, 8
"""Fields of PageHeader. In the headers inside, the first field is the number of values."""
FIRST_FIELD = 1


@dataclass(frozen=True)
class Chunk:
    """A column's bytes in one row group, as the footer describes them."""

    offset: int
    """The place of the first page in the file."""
    size: int
    """Bytes."""
    values: int
    """The number of values."""


class Pages:
    """The pages of a file's row groups.

    Args:
        file: the Parquet file.
        metadata: its metadata, or some row groups' of it.
    """

    def __init__(self, file: pa.NativeFile, metadata: pq.FileMetaData) -> None:
        self._file = file
        self._schema = metadata.schema
        self._chunks = list(_row_groups(metadata))

    def check(self, group: int, names: Collection[str]) -> None:
        """Raise OSError for a page of these columns that is larger than its column.

        Headers that cannot be read are left to pyarrow, which says what is wrong with them.
        """
        for place, chunk in enumerate(self._chunks[group]):
            if chunk is not None and _is_of(self._schema, place, names):
                self._check(chunk)

    def _check(self, chunk: Chunk) -> None:
        at, size, values = chunk.offset, self._file.size(), 0
        most = min(chunk.size + SLACK_BYTES, size)
        while 0 <= at < size and values < chunk.values:
            page = _read(self._file, at)
            if page is None:
                return
            if not 0 <= page.size <= most:
                raise OSError(f"a page of {page.size} bytes in a column of {chunk.size}")
            at += page.header + page.size
            values += page.values


def _is_of(schema: pq.ParquetSchema, place: int, names: Collection[str]) -> bool:
    try:
        path = schema.column(place).path
    except UnicodeDecodeError:
        return True
    return any(prefix in names for prefix in _prefixes(path))


def _prefixes(path: str) -> Sequence[str]:
    """The names that a leaf's column may have: a name may have dots, as the path inside a column has."""
    pieces = path.split(".")
    return [".".join(pieces[: i + 1]) for i in range(len(pieces))]


def _row_groups(metadata: pq.FileMetaData) -> Iterator[list[Chunk | None]]:
    """The chunks of each row group, in the schema's order; None for one that is encrypted."""
    sink = pa.BufferOutputStream()
    metadata.write_metadata_file(sink)
    written = sink.getvalue()
    length = int.from_bytes(written[-8:-4].to_pybytes(), "little")
    footer = Compact(written[-8 - length : -8].to_pybytes())
    for field, kind in footer.fields():
        if field == ROW_GROUPS and kind in LISTS:
            yield from (_chunks(footer) for _ in footer.structs())
        else:
            footer.skip(kind)


def _chunks(footer: Compact) -> list[Chunk | None]:
    """Read a RowGroup."""
    chunks: list[Chunk | None] = []
    for field, kind in footer.fields():
        if field == COLUMNS and kind in LISTS:
            chunks += [_chunk(footer) for _ in footer.structs()]
        else:
            footer.skip(kind)
    return chunks


def _chunk(footer: Compact) -> Chunk | None:
    """Read a ColumnChunk."""
    chunk = None
    for field, kind in footer.fields():
        if field == COLUMN_METADATA and kind == STRUCT:
            numbers: dict[int, int] = {}
            for inner, inner_kind in footer.fields():
                if inner_kind in INTEGERS:
                    numbers[inner] = footer.integer()
                else:
                    footer.skip(inner_kind)
            data = numbers[DATA_PAGE_OFFSET]
            offset = min(numbers.get(DICTIONARY_PAGE_OFFSET) or data, data)
            chunk = Chunk(offset, numbers[SIZE], numbers[VALUES])
        else:
            footer.skip(kind)
    return chunk


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
            return _page(Compact(data))
        except IndexError:
            if len(data) < count:
                return None
            count *= 8
        except NotCompactError:
            return None
    return None


def _page(header: Compact) -> _Page:
    """Read a PageHeader."""
    size, values = -1, 0
    for field, kind in header.fields():
        if field == COMPRESSED_SIZE and kind in INTEGERS:
            size = header.integer()
        elif field in (DATA_PAGE, DATA_PAGE_2) and kind == STRUCT:
            values = _first_integer(header)
        else:
            header.skip(kind)
    return _Page(header.at, size, values)


def _first_integer(header: Compact) -> int:
    """The first field of a struct, the rest of which is skipped."""
    value = None
    for field, kind in header.fields():
        if field == FIRST_FIELD and kind in INTEGERS:
            value = header.integer()
        else:
            header.skip(kind)
    if value is None:
        raise NotCompactError
    return value
