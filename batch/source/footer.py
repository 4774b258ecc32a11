"""The footer of a Parquet file, decoded a few row groups at a time.

pyarrow decodes a footer whole, into eight times its bytes: 80 MB for ten thousand row groups of eight columns. Here its
list of row groups is cut, and pyarrow is given footers that hold some of them.

A footer is one struct, FileMetaData (https://github.com/apache/parquet-format, parquet.thrift), in Thrift's compact
protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Where a row group ends
only a parser can tell: pyarrow's own, which passes over fields that it does not know without building anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.source.files import FOOTER_END_BYTES

MAGIC = b"PAR1"

WINDOW_BYTES = 512 << 10
"""Of a footer, decoded at a time; smaller footers are not cut."""
HEADS_A_WINDOW = 128
"""Each window costs the schema again, so one of a wide table is as large as so many schemas: some twenty row groups."""

# Types of the compact protocol, and a field of FileMetaData.
INTEGERS, LIST, STRUCT = (4, 5, 6), 9, 12
ROW_GROUPS = 4

# A FileMetaData with no more than it must have: version 1, a schema of a root alone, 0 rows, no row groups.
LEAST = bytes.fromhex("1502" + "191c480172150000" + "1600" + "190c")
# The header of its field 19, a list: there is no such field.
UNKNOWN_LIST = bytes([15 << 4 | LIST])


@dataclass(frozen=True)
class Window:
    """Row groups that follow each other, and where the footer describes them."""

    first: int
    count: int
    offset: int
    """Bytes from the beginning of the file."""
    size: int
    """Bytes."""

    def among(self, groups: range) -> list[int]:
        """Which of these are among `groups`, counted from the first of these."""
        return [i for i in range(self.count) if self.first + i in groups]


@dataclass(frozen=True)
class Footer:
    """What the windows of a footer have in common."""

    head: bytes
    """What stands before the list of row groups; nothing where there is one window, the footer as it stands."""
    tail: bytes
    """What follows the list."""
    windows: tuple[Window, ...]

    @classmethod
    def read(cls, file: pa.NativeFile) -> Self:
        """Find where a file's row groups are described; raises OSError or ArrowException where it has no footer."""
        size = file.size()
        end = file.read_at(FOOTER_END_BYTES, max(size - FOOTER_END_BYTES, 0))
        length, stop = int.from_bytes(end[:4], "little"), size - FOOTER_END_BYTES
        if WINDOW_BYTES < length <= stop and end[4:] == MAGIC:
            try:
                return cls._cut(file, stop - length, stop)
            except _UnknownLayoutError:
                pass  # pyarrow can decode it, or say what is wrong
        return cls(b"", b"", (Window(0, pq.read_metadata(file).num_row_groups, stop - length, length),))

    @classmethod
    def _cut(cls, file: pa.NativeFile, start: int, stop: int) -> Self:
        walk = _Walk(file, start, stop)
        count = walk.to_row_groups()
        head = file.read_at(walk.header - start, start)
        if not count:
            raise _UnknownLayoutError
        windows = tuple(walk.structs(count, max(WINDOW_BYTES, HEADS_A_WINDOW * len(head))))
        return cls(head, file.read_at(stop - walk.at, walk.at), windows)

    def metadata(self, file: pa.NativeFile, window: Window) -> pq.FileMetaData:
        """The file's metadata as if it had these row groups alone; raises OSError where they cannot be decoded."""
        if not self.head:
            return pq.read_metadata(file)
        groups = file.read_at(window.size, window.offset)
        return _decoded(self.head + _list_header(window.count) + groups + self.tail)


class _UnknownLayoutError(Exception):
    """A footer is not as Parquet's writers write it."""


class _Walk:
    """A FileMetaData from its beginning to the end of its row groups.

    Args:
        file: the Parquet file.
        start: where the footer begins.
        stop: where it ends.
    """

    def __init__(self, file: pa.NativeFile, start: int, stop: int) -> None:
        self._file = file
        self._stop = stop
        self.at = start
        """The next byte."""
        self.header = start
        """Where the header of the list of row groups begins."""

    def to_row_groups(self) -> int:
        """Pass over what comes before the first row group; returns how many row groups there are."""
        field = 0
        while True:
            delta, kind = divmod(self._byte(), 16)
            field += delta
            if delta == 0 or kind not in (*INTEGERS, LIST) or field > ROW_GROUPS:
                raise _UnknownLayoutError
            if kind != LIST:
                self._varint()
                continue
            self.header = self.at
            count = self._list_header()
            if field == ROW_GROUPS:
                return count
            for _ in self.structs(count, WINDOW_BYTES):  # the elements of the schema
                pass

    def structs(self, count: int, window_bytes: int) -> Iterator[Window]:
        """So many structs, as many at a time as about so many bytes hold."""
        first, many = 0, 1
        while first < count:
            many = min(many, count - first)
            data = self._file.read_at(min(window_bytes, self._stop - self.at), self.at)
            size = _size_of(data, many)
            if size is None and many > 1:
                many //= 2
            elif size is None and len(data) < self._stop - self.at:
                window_bytes *= 2
            elif size is None:
                raise _UnknownLayoutError
            else:
                yield Window(first, many, self.at, size)
                first, self.at = first + many, self.at + size
                many = max(1, many * window_bytes * 3 // (size * 4))

    def _byte(self) -> int:
        if self.at >= self._stop:
            raise _UnknownLayoutError
        self.at += 1
        return int(self._file.read_at(1, self.at - 1)[0])

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def _list_header(self) -> int:
        count, kind = divmod(self._byte(), 16)
        if kind != STRUCT:
            raise _UnknownLayoutError
        return count if count < 15 else self._varint()


def _size_of(data: bytes, count: int) -> int | None:
    """How many bytes the first `count` structs take; None if `data` does not hold them whole.

    They are put into a footer as what it does not know: all but the last as the items of a list, and the fields of the
    last, with the end of it, as more fields of the footer.
    """
    before = LEAST + UNKNOWN_LIST + _list_header(count - 1)
    try:
        return int(_decoded(before + data).serialized_size) - len(before)
    except (pa.ArrowException, OSError):
        return None


def _list_header(count: int) -> bytes:
    """The header of a list of structs, the count in the first byte or as a varint after it."""
    if count < 15:
        return bytes([count << 4 | STRUCT])
    header = [15 << 4 | STRUCT]
    while count > 127:
        header.append(count & 127 | 128)
        count >>= 7
    return bytes([*header, count])


def _decoded(footer: bytes) -> pq.FileMetaData:
    """What pyarrow makes of a footer; bytes after its end do not count."""
    return pq.read_metadata(pa.BufferReader(MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC))
