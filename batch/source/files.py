"""Input files: their kinds, their Hive partitions, and a fingerprint that detects a changed file."""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from whyport.runtime.errors import DataError
from whyport.runtime.paths import is_utf8, open_file, path_text
from whyport.runtime.store.client import NO_TAG, Meta, Tag
from whyport.runtime.store.path import Place, StorePath

if TYPE_CHECKING:
    from whyport.runtime.store.copy import ObjectCopy

NULL = "__HIVE_DEFAULT_PARTITION__"


def hive_partitions(paths: Sequence[Place]) -> list[Mapping[str, pa.Scalar]]:
    """The partition columns of each path, by name.

    A column's type is inferred from all paths, as in pyarrow's Hive partitioning: int32 if every value is a number that
    fits, otherwise string. `__HIVE_DEFAULT_PARTITION__` is null.
    """
    texts = [path_columns(Path(path_text(path))) for path in paths]
    columns: dict[str, set[str]] = {}
    for segments in texts:
        for name, text in segments.items():
            columns.setdefault(name, set()).add(text)
    types = {name: _inferred(values - {NULL}) for name, values in columns.items()}
    return [
        {name: pa.scalar(None if text == NULL else text).cast(types[name]) for name, text in segments.items()}
        for segments in texts
    ]


def path_columns(path: Place) -> dict[str, str]:
    """The texts that a path gives to columns, such as `year=2026`, by name."""
    pairs = (part.partition("=") for part in path.parent.parts)
    return {_decoded(name): _decoded(text) for name, separator, text in pairs if name and separator}


def _decoded(text: str) -> str:
    """A text with its %20 decoded; as it is where that gives no text, which `check_name` refuses."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def check_name(path: Place) -> None:
    """Raise DataError for a name that is no text, or a Hive folder whose value is none: no column can hold it."""
    if not is_utf8(path):
        raise DataError(f"expected a name in UTF-8, got other bytes: rename it, in {path_text(path)}")
    for part in path.parent.parts:
        try:
            unquote(part, errors="strict")
        except UnicodeDecodeError:
            raise DataError(f"expected a folder's name in UTF-8, got {part!r}, in {path}") from None


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_kind(path: Path) -> None:
    """Raise DataError for anything but a file, or a link to one; a pipe is not waited for."""
    mode = stat.S_IFMT(path.stat().st_mode) if path.exists() else stat.S_IFREG
    if mode != stat.S_IFREG:
        kind = f"a link to {KINDS[mode]}" if path.is_symlink() else KINDS[mode]
        raise DataError(f"expected a Parquet file, got {kind}, in {path_text(path)}")


def _inferred(values: set[str]) -> pa.DataType:
    try:
        pc.cast(pa.array(sorted(values), pa.string()), pa.int32())
    except pa.ArrowInvalid:
        return pa.string()
    return pa.int32() if values else pa.string()


FOOTER_END_BYTES = 8
"""A Parquet file ends with its footer, the footer's length in 4 bytes, and the 4 bytes PAR1."""


@dataclass(frozen=True)
class Fingerprint:
    """A mark that tells a file from a later one of the same name, without reading the whole file."""

    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since 1970."""
    footer_sha256: str | None
    """The footer's digest; None for a file without a footer."""
    tag: Tag = NO_TAG
    """The tag of an object in a store."""

    @classmethod
    def read(cls, path: Place) -> Self:
        """Read a file's fingerprint; raises OSError, and DataError for anything but a file."""
        if isinstance(path, StorePath):
            from whyport.runtime.store.copy import ObjectCopy

            with ObjectCopy(path) as copy:
                return cls.of_copy(copy)
        check_kind(path)
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return cls(status.st_size, status.st_mtime_ns, _footer_sha256(file, status.st_size))

    @classmethod
    def of_copy(cls, copy: "ObjectCopy") -> Self:
        """The fingerprint of an object."""
        meta = copy.meta
        return cls(meta.size, meta.modified_ns, _footer_sha256(copy, meta.size), meta.tag)

    @property
    def meta(self) -> Meta:
        """What a store says of an object with this fingerprint."""
        return Meta(self.size, self.modified_ns, self.tag)

    def is_of(self, path: Place) -> bool:
        """Whether the file is still this one, as far as its size and its time tell; raises OSError."""
        if isinstance(path, StorePath):
            return path.head() == self.meta
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns)


def open_marked(path: Place) -> "tuple[Fingerprint, pa.NativeFile]":
    """A file's fingerprint, and the file, opened; raises OSError, and DataError for anything but a file."""
    if isinstance(path, StorePath):
        from whyport.runtime.store.copy import ObjectCopy

        copy = ObjectCopy(path)
        return Fingerprint.of_copy(copy), pa.PythonFile(copy, mode="r")
    return Fingerprint.read(path), open_file(path)


def _footer_sha256(file: "BufferedReader | ObjectCopy", size: int) -> str | None:
    """The digest of the footer of a file of so many bytes."""
    file.seek(-min(FOOTER_END_BYTES, size), os.SEEK_END)
    end = file.read(FOOTER_END_BYTES) or b""
    length = int.from_bytes(end[:4], "little") + FOOTER_END_BYTES
    if len(end) < FOOTER_END_BYTES or length > size:
        return None
    file.seek(-length, os.SEEK_END)
    return hashlib.file_digest(file, "sha256").hexdigest()


UNREADABLE = Fingerprint(0, 0, None)
"""Stands for a file that cannot be opened."""
