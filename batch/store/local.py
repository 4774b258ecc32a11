"""The writes of a run: a file gets its name only when it is whole and would survive a power cut."""

import fcntl
import io
import logging
import os
import re
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from whyport.runtime.errors import OutputError
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place, StorePath

if TYPE_CHECKING:
    import pyarrow as pa

    from whyport.batch.store.objects import WholeObject

BUFFER_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class Disk:
    """The system calls that change the disk, one per method; each raises OSError on failure."""

    def make_folder(self, path: Place) -> None:
        """Make a folder and its parents, unless they exist."""
        assert isinstance(path, Path)
        path.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path) -> int:
        """Open a new file; returns its descriptor. Whatever has the name already, a link too, is an error."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, data: Any) -> int:
        """Append bytes; returns the number of bytes taken, which may be fewer."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until a file's bytes are on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file in one step; a file that had the new name is replaced."""
        os.replace(old, new)

    def link(self, old: Path, new: Path) -> None:
        """Give a file a second name, which nothing may have yet."""
        os.link(old, new)

    def remove(self, path: Place) -> None:
        """Remove a file."""
        assert isinstance(path, Path)
        path.unlink()

    def remove_existing(self, paths: Sequence[Place]) -> None:
        """Remove those of some files that exist, in order; raises OutputError on failure."""
        for path in paths:
            with writing(path):
                if path.exists() or path.is_symlink():
                    self.remove(path)

    def whole_file(self, path: Place) -> "WholeFile | WholeObject":
        """A new file, which appears whole or not at all."""
        assert isinstance(path, Path)
        return WholeFile(self, path)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Descriptor(io.RawIOBase):
    """A file descriptor as the lowest layer of a Python file; errors name the file by `path`."""

    def __init__(self, disk: Disk, path: Path, descriptor: int) -> None:
        super().__init__()
        self._disk = disk
        self._path = path
        self._descriptor: int | None = descriptor
        self.discarding = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.discarding:
            return len(data)
        assert self._descriptor is not None
        with writing(self._path):
            return self._disk.write(self._descriptor, data)

    def sync(self) -> None:
        assert self._descriptor is not None
        self._disk.sync(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        super().close()
        if descriptor is not None:
            self._disk.close(descriptor)


class _Attempt:
    """A new file under a name that no other attempt has: of this host, this process, and a number drawn at random.

    A lock says that the attempt is alive. It ends with `close` or with the process, however that ends.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        while True:
            self.path = path.with_name(f".{path.name}.{HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
            self.descriptor = disk.create(self.path)
            self._lock: int | None = os.dup(self.descriptor)  # it holds the lock when the file is closed
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # A sweep may have come between the two: it removes what is not locked.
            if self.path.exists():
                return
            os.close(self.descriptor)
            self.close()

    def close(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


HOST = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:32]
"""This machine's name, as file names have it."""


def leftovers(folder: Place, names: str) -> list[Path]:
    """The temporary files of attempts, alive or dead, at files whose names match the pattern."""
    if isinstance(folder, StorePath):
        return []
    patterns = f".{names}.tmp", f".{names}.*.tmp"
    # A glob without wildcards passes over links that lead nowhere.
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in entries if any(fnmatchcase(path.name, pattern) for pattern in patterns)]


def remove_leftover(disk: Disk, path: Path) -> None:
    """Remove the temporary file of a dead attempt; one that is alive, here or on another host, keeps it.

    Raises OutputError on failure.
    """
    with writing(path), suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_file():
            disk.remove(path)
            return
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            disk.remove(path)
        except BlockingIOError:
            logger.info("left alone: an attempt that is still at work, in %s", path)
        finally:
            os.close(descriptor)


class WholeFile:
    """A file under a temporary name of its own until `publish`; leaving the context before that removes it.

    Several attempts at one file do not meet: whichever is published last, the file is whole, and one attempt's alone.

    Args:
        disk: writes the file.
        path: the final name.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self._disk = disk
        with writing(path):
            self._attempt = _Attempt(disk, path)
        self.unfinished = self._attempt.path
        self._raw = _Descriptor(disk, path, self._attempt.descriptor)
        self.stream = io.BufferedWriter(self._raw, BUFFER_BYTES)
        self._is_published = False

    def finish(self) -> None:
        """Sync every byte to the disk; nothing can be written afterwards."""
        with writing(self.path):
            self.stream.flush()
            self._raw.sync()
            self._raw.close()

    def publish(self) -> None:
        """Give the finished file its final name."""
        with writing(self.path):
            self._disk.rename(self.unfinished, self.path)
            self._is_published = True
            self._attempt.close()
            self._disk.sync_folder(self.path.parent)

    def publish_new(self) -> bool:
        """Give the finished file its final name unless something has it; returns whether it has it now."""
        with writing(self.path):
            try:
                self._disk.link(self.unfinished, self.path)
            except FileExistsError:
                return False
            self._disk.sync_folder(self.path.parent)
        return True

    def publish_part(self) -> None:
        """Give the finished part its final name; an equal part may have had it."""
        self.publish()

    def reopened(self) -> "pa.NativeFile":
        """The finished file, to be looked at before it is published."""
        return open_file(self.unfinished)

    def discard(self) -> None:
        """Discard all further writes, so that a writer on top can be closed after an error."""
        self._raw.discarding = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_published:
            return
        self.discard()
        # The first error is the one to report; the next run removes a temporary file that stays.
        try:
            self._raw.close()
            self._disk.remove(self.unfinished)
        except OSError:
            pass
        finally:
            self._attempt.close()


def write_whole(disk: Disk, path: Place, content: bytes) -> None:
    """Write a small file, whole or not at all; raises OutputError on failure."""
    with disk.whole_file(path) as file:
        file.stream.write(content)
        file.finish()
        file.publish()


def write_new(disk: Disk, path: Place, content: bytes) -> bool:
    """Write a small file, whole or not at all, unless something has its name; returns whether it was written.

    Raises OutputError on failure.
    """
    with disk.whole_file(path) as file:
        file.stream.write(content)
        file.finish()
        return file.publish_new()


def remove_file(disk: Disk, path: Place) -> None:
    """Remove a file if it exists; raises OutputError on failure."""
    disk.remove_existing([path])


@contextmanager
def writing(path: Place) -> Iterator[None]:
    """Turn OSError into an OutputError that names the path."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write: {error.strerror or error}, in {path}") from None
