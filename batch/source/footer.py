"""The footer of a Parquet file, decoded a few row groups at a time.

pyarrow decodes a whole footer, into eight times its bytes: 80 MB for ten thousand row groups of eight columns. This
module cuts the footer's list of row groups, and gives pyarrow footers that hold some of them.

A footer is one struct, FileMetaData (https://github.com/apache/parquet-format, parquet.thrift), in Thrift's compact
protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Only a parser can tell
where a row group ends. pyarrow's own parser does: it skips unknown fields without building anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.source.files import FOOTER_END_BYTES

MAGIC = b"PAR1"

WINDOW_BYTES = 512 << 10
"""Bytes of a footer that are decoded at a time; smaller footers are not cut."""
HEADS_A_WINDOW = 128
"""A wide table's window is as large as this many schemas, some twenty row groups: each window repeats the schema."""

# Types of the compact protocol, and a field of FileMetaData.
INTEGERS, LIST, STRUCT = (4, 5, 6), 9, 12
ROW_GROUPS = 4

# The smallest valid FileMetaData: version 1, a schema with only a root, 0 rows, no row groups.
LEAST = bytes.fromhex("1502" + "191c480172150000" + "1600" + "190c")
# The header of field 19, a list: FileMetaData has no such field.
UNKNOWN_LIST = bytes([15 << 4 | LIST])


@dataclass(frozen=True)
class Window:
    """Consecutive row groups, and the place in the footer that describes them."""

    first: int
    count: int
    offset: int
    """Bytes from the beginning of the file."""
    size: int
    """Bytes."""

    def among(self, groups: range) -> list[int]:
        """The row groups of the window that are in `groups`, counted from the window's first."""
        return [i for i in range(self.count) if self.first + i in groups]


@dataclass(frozen=True)
class Footer:
    """The contents that all windows of a footer share."""

    head: bytes
    """The bytes before the list of row groups; empty where one window holds the whole footer."""
    tail: bytes
    """The bytes after the list of row groups."""
    windows: tuple[Window, ...]

    @classmethod
    def read(cls, file: pa.NativeFile) -> Self:
        """Find the description of a file's row groups; raises OSError or ArrowException where there is no footer."""
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
        """The file's metadata as if it had only these row groups; raises OSError where they cannot be decoded."""
        if not self.head:
            return pq.read_metadata(file)
        groups = file.read_at(window.size, window.offset)
        return _decoded(self.head + _list_header(window.count) + groups + self.tail)


class _UnknownLayoutError(Exception):
    """A footer is not laid out as Parquet's writers write it."""


class _Walk:
    """A reading position in a FileMetaData, which moves from the beginning to the end of the row groups.

    Args:
        file: the Parquet file.
        start: where the footer begins.
        stop: where it ends.
    """

    def __init__(self, file: pa.NativeFile, start: int, stop: int) -> None:
        self._file = file
        self._stop = stop
        self.at = start
        """The position of the next byte."""
        self.header = start
        """The position of the header of the list of row groups."""

    def to_row_groups(self) -> int:
        """Skip everything before the first row group; returns the number of row groups."""
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
        """Windows over `count` structs, each of about `window_bytes` bytes."""
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
    """The number of bytes that the first `count` structs take; None if `data` does not hold all of them.

    The structs are put into a footer as unknown fields. All but the last one are items of a list. The fields of the
    last one, with its end marker, are further fields of the footer.
    """
    before = LEAST + UNKNOWN_LIST + _list_header(count - 1)
    try:
        return int(_decoded(before + data).serialized_size) - len(before)
    except (pa.ArrowException, OSError):
        return None


def _list_header(count: int) -> bytes:
    """The header of a list of structs: the count is in the first byte, or in a varint after it."""
    if count < 15:
        return bytes([count << 4 | STRUCT])
    header = [15 << 4 | STRUCT]
    while count > 127:
        header.append(count & 127 | 128)
        count >>= 7
    return bytes([*header, count])


def _decoded(footer: bytes) -> pq.FileMetaData:
    """A footer as pyarrow decodes it; bytes after its end do not count."""
    return pq.read_metadata(pa.BufferReader(MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC))
