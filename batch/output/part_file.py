"""A part as a file to look into: of an object in a store, every byte is fetched once for all that is asked of it."""

import hashlib
import os
from typing import Self

import pyarrow as pa

from whyport.runtime.paths import open_file
from whyport.runtime.store.client import Meta
from whyport.runtime.store.path import Place, StorePath


class PartFile:
    """A part that is opened as often as something is asked of it; an object's bytes stay on this machine until `close`.

    Args:
        path: the part.
        meta: what a store said of it; by default the store is asked.
    """

    def __init__(self, path: Place, meta: Meta | None = None) -> None:
        self.path = path
        self._meta = meta
        self._content: pa.Buffer | None = None

    def open(self) -> pa.NativeFile:
        """The part for pyarrow; raises OSError."""
        return pa.BufferReader(self._fetched(self.path)) if isinstance(self.path, StorePath) else open_file(self.path)

    def sha256(self) -> str:
        """The digest of all bytes; raises OSError."""
        if isinstance(self.path, StorePath):
            return hashlib.sha256(self._fetched(self.path)).hexdigest()
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def close(self) -> None:
        """Let go of an object's bytes."""
        self._content = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return os.fspath(self.path)

    def _fetched(self, path: StorePath) -> pa.Buffer:
        if self._content is None:
            from whyport.runtime.store.copy import ObjectCopy

            with ObjectCopy(path, self._meta, whole=True) as copy:
                self._content = pa.py_buffer(copy.content())
        return self._content
