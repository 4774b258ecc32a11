"""Input files: their kinds, their Hive partitions, and a fingerprint that detects a changed file."""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from whyport.runtime.errors import DataError
from whyport.runtime.paths import is_utf8, path_text

NULL = "__HIVE_DEFAULT_PARTITION__"


def hive_partitions(paths: Sequence[Path]) -> list[Mapping[str, pa.Scalar]]:
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


def path_columns(path: Path) -> dict[str, str]:
    """The texts that a path gives to columns, such as `year=2026`, by name."""
    pairs = (part.partition("=") for part in path.parent.parts)
    return {_decoded(name): _decoded(text) for name, separator, text in pairs if name and separator}


def _decoded(text: str) -> str:
    """A text with its %20 decoded; as it is where that gives no text, which `check_name` refuses."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def check_name(path: Path) -> None:
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

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file's fingerprint; raises OSError, and DataError for anything but a file."""
        check_kind(path)
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(-min(FOOTER_END_BYTES, status.st_size), os.SEEK_END)
            end = file.read(FOOTER_END_BYTES)
            length = int.from_bytes(end[:4], "little") + FOOTER_END_BYTES
            if len(end) < FOOTER_END_BYTES or length > status.st_size:
                return cls(status.st_size, status.st_mtime_ns, None)
            file.seek(-length, os.SEEK_END)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(status.st_size, status.st_mtime_ns, digest)


UNREADABLE = Fingerprint(0, 0, None)
"""Stands for a file that cannot be opened."""
