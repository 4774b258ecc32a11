"""The lock of an output folder."""

import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from whyport.batch.store.local import writing
from whyport.runtime.errors import JobError, OutputError, UsageError
from whyport.runtime.store.path import Place, StorePath

LOCK_FILE = "_lock"


@contextmanager
def folder_lock(folder: Place, *, shared: bool = False, take_over: bool = False) -> Iterator[Callable[[], None]]:
    """Hold a folder's lock; gives what raises JobError where it is not held any more.

    Args:
        folder: the folder.
        shared: whether others may share the lock; nobody can have it alone meanwhile.
        take_over: whether another's lease in a store is ended, though it may be at work.

    Raises JobError naming a holder if another process has it.
    """
    if isinstance(folder, StorePath):
        from whyport.batch.store.lease import Lease

        with Lease(folder, shared=shared, take_over=take_over) as lease:
            yield lease.check
        return
    if take_over:
        raise UsageError(
            f"take_over: expected an output folder in a store, got {str(folder)!r}: a disk's lock ends with its process"
        )
    path = folder / LOCK_FILE
    descriptor = _acquire(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield lambda: None  # the kernel's lock ends with its process alone
    finally:
        if not shared:  # others may hold it too: the run that finishes the job removes its file
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, kind: int) -> int:
    while True:
        with writing(path):
            # A pipe would keep the opening waiting.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(path, flags, 0o666)
        status = os.fstat(descriptor)
        # The holder's name is written into the file. A second name would be that of somebody's own file.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            os.close(descriptor)
            raise OutputError(f"expected a file of the run's own, got {nature_of(path)}: remove it, in {path}")
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise JobError(f"another run writes to {str(path.parent)!r}: {holder}") from None
        # The previous holder may have removed the file between our open and our lock: we would hold an invisible name.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


NATURES = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file with another name too"),
)


def nature_of(path: Place) -> str:
    """The kind of thing that has a path's name, in words."""
    mode = path.stat().st_mode if isinstance(path, StorePath) else path.lstat().st_mode
    return next((text for has_mode, text in NATURES if has_mode(mode)), "a device")
