"""Rows in batches of a fixed size."""

from collections import deque
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def batch_slices(rows: int, batch_rows: int) -> Iterator[slice]:
    """Slices of at most `batch_rows` rows that cover `rows` rows in order; none where there are no rows."""
    for start in range(0, rows, batch_rows):
        yield slice(start, min(start + batch_rows, rows))


def taken(waiting: deque[T]) -> Iterator[T]:
    """Items out of a queue until it is empty; several threads may take from the same one."""
    while True:
        try:
            item = waiting.popleft()
        except IndexError:
            return
        yield item
