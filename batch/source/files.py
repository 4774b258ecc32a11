"""Input files: found by name or pattern, their Hive partitions, and a fingerprint that detects a changed file."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from whyport.runtime.errors import DataError, UsageError, listing


def discover(inputs: Sequence[str]) -> list[Path]:
    """The Parquet files behind files, folders and glob patterns: in the given order, each folder or glob sorted.

    In folders, names that begin with "_" or "." are skipped, and links to folders are not followed.

    Raises:
        UsageError: there is no input, one names no file, or a file is named twice.
        DataError: a folder cannot be read.
    """
    if not inputs:
        raise UsageError("expected one or several inputs, got none")
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


def _files_below(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        # The files inside would be missing from the output, and nobody would know.
        raise DataError(f"cannot read: {error.strerror}, in {error.filename}")

    for root, _, names in os.walk(folder, onerror=fail):
        for path in (Path(root, name) for name in names if name.endswith(".parquet")):
            if _is_visible(path.relative_to(folder)) and path.is_file():
                yield path


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.parts)


NULL = "__HIVE_DEFAULT_PARTITION__"


def hive_partitions(paths: Sequence[Path]) -> list[Mapping[str, pa.Scalar]]:
    """The partition columns of each path, by name.

    A column's type is inferred from all paths, as in pyarrow's Hive partitioning: int32 if every value is a number that
    fits, otherwise string. `__HIVE_DEFAULT_PARTITION__` is null.
    """
    texts = [_segments(path) for path in paths]
    columns: dict[str, set[str]] = {}
    for segments in texts:
        for name, text in segments.items():
            columns.setdefault(name, set()).add(text)
    types = {name: _inferred(values - {NULL}) for name, values in columns.items()}
    return [
        {name: pa.scalar(None if text == NULL else text).cast(types[name]) for name, text in segments.items()}
        for segments in texts
    ]


def _segments(path: Path) -> dict[str, str]:
    pairs = (part.partition("=") for part in path.parent.parts)
    return {unquote(name): unquote(text) for name, separator, text in pairs if name and separator}


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
        """Read a file's fingerprint; raises OSError."""
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
