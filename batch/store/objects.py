"""The writes of a run into an object store: an object is made on this machine, and then put there by one request."""

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Self

from whyport.batch.store.local import Disk, writing
from whyport.runtime.errors import OutputError
from whyport.runtime.store import client
from whyport.runtime.store.path import Place, StorePath

if TYPE_CHECKING:
    import pyarrow as pa


class ObjectDisk(Disk):
    """The calls that change a store, a request each; raises OSError on failure. Folders come with their files."""

    def make_folder(self, path: Place) -> None:
        """Nothing is to be made."""

    def remove(self, path: Place) -> None:
        """Remove an object."""
        assert isinstance(path, StorePath)
        client.delete(path.root_url, path.key)

    def remove_existing(self, paths: Sequence[Place]) -> None:
        """Remove those of some objects of one folder, or of one below, that exist; in any order."""
        objects = [path for path in paths if isinstance(path, StorePath)]
        if objects:
            with writing(objects[0]):
                client.delete(objects[0].root_url, *(path.key for path in objects))

    def whole_file(self, path: Place) -> "WholeObject":
        """A new object, which appears whole or not at all."""
        assert isinstance(path, StorePath)
        return WholeObject(path)


class WholeObject:
    """An object in a file without a name until it is published, as `local.WholeFile` is: nothing is left behind.

    Args:
        path: the object.
    """

    def __init__(self, path: StorePath) -> None:
        self.path = path
        self._file = TemporaryFile()  # noqa: SIM115 - it is closed by __exit__
        self.stream: IO[bytes] = io.BufferedWriter(io.FileIO(os.dup(self._file.fileno()), "wb"))

    def finish(self) -> None:
        """Write every byte; nothing can be written afterwards."""
        with writing(self.path):
            self.stream.close()

    def reopened(self) -> "pa.NativeFile":
        """The finished file, to be looked at before it is published."""
        import pyarrow as pa

        return pa.PythonFile(io.BytesIO(self._content()), mode="r")

    def publish(self) -> None:
        """Put the object over whatever has its name."""
        with writing(self.path):
            client.put(self.path.root_url, self.path.key, self._content())

    def publish_new(self) -> bool:
        """Put the object unless something has its name; returns whether it is there now."""
        with writing(self.path):
            try:
                client.put_new(self.path.root_url, self.path.key, self._content())
            except FileExistsError:
                return False
        return True

    def publish_part(self) -> None:
        """Put the object unless an equal one has its name: whoever comes first wins, and who is late changes nothing.

        Raises OutputError where other bytes have its name.
        """
        if self.publish_new():
            return
        with writing(self.path):
            there = self.path.read_bytes()
        if hashlib.sha256(there).digest() != hashlib.sha256(self._content()).digest():
            raise OutputError(f"expected nothing or an equal part, got other bytes under its name, in {self.path}")

    def discard(self) -> None:
        """Nothing is to be done: what is written goes nowhere."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self._file.close()

    def _content(self) -> bytes:
        return os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0)


def disk_of(place: Place) -> Disk:
    """The disk that writes at a place."""
    return Disk() if isinstance(place, Path) else ObjectDisk()
