"""A copy of an object on this machine that has the bytes which were asked for."""

import io
import mmap
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from tempfile import TemporaryFile
from threading import BoundedSemaphore, Lock
from typing import Any

from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath

Range = tuple[int, int]
"""The first byte, and the one after the last."""

JOINED_GAP_BYTES = 1 << 20
"""Two ranges so near are asked for as one: the bytes between take less time than a request."""
REQUEST_BYTES = 8 << 20
"""A longer range is asked for in several requests, side by side."""
BLOCK_BYTES = 1 << 20
"""Bytes that were not fetched before are asked for in blocks of this size."""
END_BYTES = 64 << 10
"""The end of a file, where a Parquet file has its footer; asked for first."""
REQUESTS = 8
"""Requests of one copy side by side."""
IN_MEMORY = BoundedSemaphore(2 * REQUESTS)
"""Long answers that this process may wait for at once: each is held in memory when it has come."""


class ObjectCopy(io.RawIOBase):
    """An object as a file to read. Its bytes are in a file without a name and with holes, which ends with the process.

    Args:
        place: the object.
        meta: what the store said of it; by default the store is asked.
        ranges: the bytes to begin with, beside the file's end.
        whole: whether to begin with all bytes.

    Raises OSError where the store does not answer, and ChangedError where the object is not the one of `meta` any more.
    """

    def __init__(
        self,
        place: StorePath,
        meta: client.Meta | None = None,
        ranges: Iterable[Range] = (),
        *,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self._place = place
        self.meta = meta or place.head()
        self._file = TemporaryFile()  # noqa: SIM115 - it is closed by close
        os.ftruncate(self._file.fileno(), self.meta.size)
        self._there: list[Range] = []
        """Apart from each other, and in order."""
        self._at = 0
        self._lock = Lock()
        self.fetch([*ranges, (0 if whole else max(self.meta.size - END_BYTES, 0), self.meta.size)])

    def fetch(self, ranges: Iterable[Range]) -> None:
        """Ask for the bytes that are not there yet."""
        with self._lock:
            missing = list(cut(joined(hole for each in ranges for hole in self._holes(each))))
            if len(missing) == 1:
                self._get(missing[0])
            elif missing:
                with ThreadPoolExecutor(REQUESTS) as pool:
                    list(pool.map(self._get, missing))
            self._there = list(joined([*self._there, *missing], gap=0))

    def turn_to(self, ranges: Iterable[Range], end: int) -> None:
        """Ask for these bytes, and forget all others before `end`: a file of any size takes no more room than these."""
        with self._lock:
            old, self._file = self._file, TemporaryFile()  # noqa: SIM115 - it is closed by close
            os.ftruncate(self._file.fileno(), self.meta.size)
            self._there = [(max(start, end), stop) for start, stop in self._there if stop > end]
            for start, stop in self._there:
                os.pwrite(self._file.fileno(), os.pread(old.fileno(), stop - start, start), start)
            old.close()
        self.fetch(ranges)

    def content(self) -> "mmap.mmap | bytes":
        """All bytes, of which none is held in memory."""
        self.fetch([(0, self.meta.size)])
        return mmap.mmap(self._file.fileno(), self.meta.size, access=mmap.ACCESS_READ) if self.meta.size else b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.meta.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._at + len(buffer), self.meta.size)
        if stop <= self._at:
            return 0
        if any(self._holes((self._at, stop))):
            first, last = self._at // BLOCK_BYTES, -(-stop // BLOCK_BYTES)
            self.fetch([(first * BLOCK_BYTES, min(last * BLOCK_BYTES, self.meta.size))])
        count = os.preadv(self._file.fileno(), [memoryview(buffer)[: stop - self._at]], self._at)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _holes(self, wanted: Range) -> Iterator[Range]:
        """The pieces of a range that are not there yet."""
        at, stop = wanted
        for first, last in self._there[max(bisect_right(self._there, wanted) - 1, 0) :]:
            if at >= stop or first >= stop:
                break
            if at < first:
                yield at, first
            at = max(at, last)
        if at < stop:
            yield at, stop

    def _get(self, wanted: Range) -> None:
        place, is_long = self._place, wanted[1] - wanted[0] > BLOCK_BYTES
        with IN_MEMORY if is_long else nullcontext():
            self._store(client.read_range(place.root_url, place.key, *wanted, self.meta.tag), wanted)

    def _store(self, content: bytes, wanted: Range) -> None:
        place = self._place
        if len(content) != wanted[1] - wanted[0]:
            raise OSError(None, f"expected {wanted[1] - wanted[0]} bytes, got {len(content)}", str(place))
        os.pwrite(self._file.fileno(), content, wanted[0])


def joined(ranges: Iterable[Range], gap: int = JOINED_GAP_BYTES) -> Iterator[Range]:
    """The ranges in order; those that overlap, or have no more than the gap between them, are one."""
    start, stop = 0, -1
    for first, last in sorted(ranges):
        if stop >= 0 and first <= stop + gap:
            stop = max(stop, last)
            continue
        if stop >= 0:
            yield start, stop
        start, stop = first, last
    if stop >= 0:
        yield start, stop


def cut(ranges: Iterable[Range]) -> Iterator[Range]:
    """The ranges in pieces of one request each."""
    for start, stop in ranges:
        for first in range(start, stop, REQUEST_BYTES):
            yield first, min(first + REQUEST_BYTES, stop)
