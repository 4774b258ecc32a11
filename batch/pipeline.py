"""Stages that overlap: items fetched ahead of their use, and calls done behind their caller.

Each stage has one thread, so that order is kept, and a few items under way, so that memory is bounded. An error is
raised in the caller, in place of the item or at a later call. Leaving the context waits for current work, drops
waiting items, and ends the thread.
"""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class FetchAhead(Generic[T]):
    """The items of a generator, made in its own thread.

    Args:
        items: the generator, which runs only in that thread.
        ahead: how many items are made before they are asked for.
        name: the thread's name.
    """

    def __init__(self, items: Generator[T, None, None], ahead: int, name: str) -> None:
        self._items = items
        self._executor = ThreadPoolExecutor(1, name)
        self._coming = deque(self._executor.submit(self._fetch) for _ in range(ahead))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        future = self._coming.popleft()
        self._coming.append(self._executor.submit(self._fetch))
        fetched = future.result()
        if not fetched:
            raise StopIteration
        return fetched[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)
        self._items.close()

    def _fetch(self) -> tuple[T] | tuple[()]:
        """The next item, or nothing at the end: a future cannot hold StopIteration."""
        try:
            return (next(self._items),)
        except StopIteration:
            return ()


class DoBehind:
    """Calls done in order in their own thread; after a failed call, the waiting ones are dropped.

    Args:
        behind: the number of calls that may wait or be in progress.
        name: the thread's name.
    """

    def __init__(self, behind: int, name: str) -> None:
        self._behind = behind
        self._executor = ThreadPoolExecutor(1, name)
        self._waiting: deque[Future[None]] = deque()
        self._has_failed = False

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call, as soon as there is room; raises what an earlier call raised."""
        while len(self._waiting) >= self._behind:
            self._waiting.popleft().result()
        self._waiting.append(self._executor.submit(self._do, function))

    def wait(self) -> None:
        """Wait until all calls are done; raises what a call raised."""
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def _do(self, function: Callable[[], None]) -> None:
        if self._has_failed:
            return
        try:
            function()
        except BaseException:
            self._has_failed = True
            raise
