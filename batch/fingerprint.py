"""What tells a file from a later one of the same name."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FOOTER_END_BYTES = 8
"""A Parquet file ends with its footer, the footer's length in 4 bytes, and the 4 bytes PAR1."""


@dataclass(frozen=True)
class Fingerprint:
    """What tells a file from a later one of the same name, without reading it all."""

    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since 1970."""
    footer_sha256: str | None
    """None for a file that has no footer."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Look at a file; raises OSError."""
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
