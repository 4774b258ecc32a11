"""Readers of a run, and their passes: a look at some rows, and the count of all, by several threads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from whyport.batch.compare.summary import Summary
from whyport.batch.compare.variables import Chunk, Task, Variable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Reader(Protocol):
    """A reader of a run's variables, task by task."""

    numbers: tuple[Variable, ...]
    """The variables of numbers."""

    @property
    def tasks(self) -> list[Task]:
        """All tasks, in order."""

    @property
    def sample(self) -> tuple[list[Task], int | None]:
        """The tasks that are looked at before, and the rows of each; None for all of them."""

    def chunks(self, task: Task, rows: int | None = None) -> Iterator[Chunk]:
        """The first rows of a task, or all of them."""


def in_order(call: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """The results of a call for each item, in order, by several threads; few results wait at a time."""
    if threads == 1 or len(items) < 2:
        yield from map(call, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, "whyport-compare") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(call, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def look(readers: Sequence[Reader], threads: int) -> dict[Variable, NDArray[np.float32]]:
    """Some rows' values of the variables of numbers, from evenly spaced places; all of them where there are few."""
    found: dict[Variable, list[NDArray[np.float32]]] = {}
    for reader in readers:
        tasks, rows = reader.sample

        def read(task: Task, reader: Reader = reader, rows: int | None = rows) -> dict[Variable, NDArray[np.float32]]:
            chunks = list(reader.chunks(task, rows))
            names = chunks[0].numbers if chunks else {}
            return {variable: np.concatenate([c.numbers[variable][:rows] for c in chunks]) for variable in names}

        for some in in_order(read, tasks, threads):
            for variable, values in some.items():
                found.setdefault(variable, []).append(values)
    return {variable: np.concatenate(each) for variable, each in found.items()}


def count(readers: Sequence[Reader], empty: Summary, threads: int) -> Summary:
    """All rows of each reader; the result does not depend on the number of threads."""
    total = empty.empty()
    for reader in readers:

        def read(task: Task, reader: Reader = reader) -> Summary:
            summary = empty.empty()
            for chunk in reader.chunks(task):
                summary.add(chunk)
            return summary

        for summary in in_order(read, reader.tasks, threads):
            total.merge(summary)
    return total
