"""Structs in Thrift's compact protocol, read field by field.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Iterator

# Types of fields.
TRUE, FALSE, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12


class NotCompactError(Exception):
    """The bytes are no struct of the compact protocol, or not the one that is expected."""


class Compact:
    """A position in bytes that begin with a struct; reading on past them raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        """The number of bytes that have been read."""

    def fields(self) -> Iterator[tuple[int, int]]:
        """The numbers and types of a struct's fields; each must be read, or skipped, before the next."""
        field = 0
        while True:
            delta, kind = divmod(self._byte(), 16)
            if not kind:
                return
            field = field + delta if delta else self.integer()
            yield field, kind

    def integer(self) -> int:
        """Read an integer of any width."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def structs(self) -> Iterator[None]:
        """One item for each struct of a list; each must be read before the next."""
        count, kind = self._list()
        if kind != STRUCT:
            raise NotCompactError
        for _ in range(count):
            yield

    def skip(self, kind: int) -> None:
        """Pass over a value of a type."""
        if kind in (TRUE, FALSE):
            return
        if kind in INTEGERS:
            self._varint()
        elif kind == BINARY:
            self._advance(self._varint())
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner)
        elif kind in (BYTE, DOUBLE):
            self._advance(1 if kind == BYTE else 8)
        elif kind in LISTS:
            count, inner = self._list()
            for _ in range(count):
                self.skip(BYTE if inner in (TRUE, FALSE) else inner)
        else:
            raise NotCompactError

    def _list(self) -> tuple[int, int]:
        """The length of a list, and its items' type."""
        count, kind = divmod(self._byte(), 16)
        return count if count < 15 else self._varint(), kind

    def _advance(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        value = self._data[self.at]
        self.at += 1
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
                raise NotCompactError
