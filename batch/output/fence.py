"""A fence before an output folder: workers of other processes publish only while their run stands at it.

A worker may outlive its run: a driver that was killed, a machine that was cut off, a process that was stopped and goes
on a day later. What it would publish then could meet another job's parts. Each attempt that has workers makes a file of
its own; a worker looks at it under a shared lock for every file that it publishes. To remove it takes the lock alone.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whyport.batch.store.local import Disk, writing
from whyport.runtime.errors import JobError
from whyport.runtime.store.path import Place, StorePath

NAME = "_workers-*"
STOPPING = b"stop"
PATIENCE = 10.0
"""Seconds in which a worker ends a rename."""


@dataclass(frozen=True)
class Fence:
    """The fence of one attempt; it can be pickled."""

    path: Path

    def begin(self) -> None:
        """Make the fence; raises OutputError on failure."""
        with writing(self.path):
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))

    def disk(self) -> Disk:
        """The disk of a worker: nothing gets its final name on it once the fence is down."""
        return FencedDisk(self)

    def stop(self) -> None:
        """Have the workers begin no further part; those at hand may be published."""
        with writing(self.path):
            self.path.write_bytes(STOPPING)

    def take_down(self) -> None:
        """Have nothing published any more: what a worker is just publishing is waited for.

        Raises JobError if it does not end, because its process is stopped.
        """
        with writing(self.path):
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                return
        try:
            _lock_alone(descriptor, self.path)
            with writing(self.path):
                self.path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    @property
    def is_up(self) -> bool:
        """Whether the run still stands."""
        return self.path.exists()

    @property
    def is_stopping(self) -> bool:
        """Whether no further part may be begun."""
        try:
            return self.path.read_bytes() == STOPPING
        except FileNotFoundError:
            return True

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Publish inside the context; raises JobError if the run no longer stands."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._fallen() from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            # It may have been taken down between the two.
            if not self.is_up:
                raise self._fallen()
            yield
        finally:
            os.close(descriptor)

    def _fallen(self) -> JobError:
        return JobError(f"expected the run that gave the order, got none: nothing is published, in {self.path.parent}")


class FencedDisk(Disk):
    """A disk on which no file gets its final name once a fence is down."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file in one step; raises JobError where the fence is down."""
        with self._fence.passed():
            super().rename(old, new)


def new_fence(folder: Place) -> Fence:
    """Make the fence of an attempt that begins; raises OutputError on failure."""
    name = NAME.replace("*", secrets.token_hex(8))
    fence = _fence_at(folder / name)
    fence.begin()
    return fence


def take_down_all(folder: Place) -> None:
    """Have no worker of an earlier attempt publish in a folder; as `Fence.take_down`."""
    for path in folder.glob(NAME):
        _fence_at(path).take_down()


def _fence_at(path: Place) -> Fence:
    if isinstance(path, StorePath):
        from whyport.batch.output.store_fence import StoreFence

        return StoreFence(path)
    return Fence(path)


def _lock_alone(descriptor: int, path: Path) -> None:
    last = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > last:
                raise JobError(
                    f"expected the worker that publishes a part to end within {PATIENCE:.0f} s, got one that does not, "
                    f"perhaps because it is stopped: end its process, at {path}"
                ) from None
            time.sleep(0.05)
