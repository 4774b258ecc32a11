"""A fence before an output folder in a store: an object that workers look for before each part that they put there.

A store has no lock over two objects, so what a worker is just putting is not waited for. It can only be a part of its
own job, which is created and never replaced.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from whyport.batch.output.fence import STOPPING, Fence
from whyport.batch.store.local import Disk, writing
from whyport.batch.store.objects import ObjectDisk, WholeObject
from whyport.runtime.store import client
from whyport.runtime.store.path import Place, StorePath

LOOKED_SECONDS = 1.0
"""A look at the fence holds for so long: workers look after every batch, and each look is a request."""


@dataclass
class _Look:
    """The last look at a fence: its content, and the time."""

    content: bytes | None = None
    at: float = float("-inf")


@dataclass(frozen=True)
class StoreFence(Fence):
    """The fence of one attempt; it can be pickled."""

    path: StorePath  # type: ignore[assignment]
    _look: _Look = field(default_factory=_Look, repr=False, compare=False)

    def begin(self) -> None:
        """Make the fence."""
        with writing(self.path):
            client.put_new(self.path.root_url, self.path.key, b"")

    def stop(self) -> None:
        with writing(self.path):
            client.put(self.path.root_url, self.path.key, STOPPING)

    def take_down(self) -> None:
        with writing(self.path):
            client.delete(self.path.root_url, self.path.key)

    @property
    def is_up(self) -> bool:
        return self._seen() is not None

    @property
    def is_stopping(self) -> bool:
        return self._seen() in (None, STOPPING)

    @contextmanager
    def passed(self) -> Iterator[None]:
        self._look.at = float("-inf")
        if not self.is_up:
            raise self._fallen()
        yield

    def disk(self) -> Disk:
        return _FencedObjectDisk(self)

    def _seen(self) -> bytes | None:
        """The object's content; None where it is gone."""
        look = self._look
        if time.monotonic() - look.at > LOOKED_SECONDS:
            try:
                look.content = self.path.read_bytes()
            except FileNotFoundError:
                look.content = None
            look.at = time.monotonic()
        return look.content


class _FencedObjectDisk(ObjectDisk):
    """A store into which no part is put once a fence is down."""

    def __init__(self, fence: StoreFence) -> None:
        self._fence = fence

    def whole_file(self, path: Place) -> WholeObject:
        assert isinstance(path, StorePath)
        return _FencedObject(path, self._fence)


class _FencedObject(WholeObject):
    def __init__(self, path: StorePath, fence: StoreFence) -> None:
        super().__init__(path)
        self._fence = fence

    def publish_part(self) -> None:
        """Put the part; raises JobError where the fence is down."""
        with self._fence.passed():
            super().publish_part()
