"""The interface of every executor: orders in, each with its outcome out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from whyport.batch.run.watch import Monitor
from whyport.batch.run.worker import Order, Worker
from whyport.runtime.errors import DataError


class Executor(ABC):
    """Has orders carried out.

    Args:
        worker: makes parts in this process; its `setup` can be pickled, and builds an equal worker in another one.
        monitor: the clock, progress and signals of the run.
    """

    def __init__(self, worker: Worker, monitor: Monitor) -> None:
        self._worker = worker
        self._monitor = monitor

    @abstractmethod
    def run(self, orders: Iterable[Order]) -> Iterator[tuple[Order, DataError | None]]:
        """Carry out the orders; yields each when it is done, with the error if its input was bad."""
