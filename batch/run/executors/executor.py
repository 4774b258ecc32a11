"""The interface of every executor: orders in, each with its outcome out."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable

from whyport.batch.run.executors.where import Where
from whyport.batch.run.watch import Monitor
from whyport.batch.run.worker import Order, Worker
from whyport.runtime.errors import DataError

Outcomes = Generator[tuple[Order, DataError | None], None, None]
"""The outcomes of orders, or of parts of them, with the error if their input was bad."""


class Executor(ABC):
    """Has orders carried out.

    Args:
        worker: makes parts in this process; its `setup` can be pickled, and builds an equal worker in another one.
        monitor: the clock, progress and signals of the run.
        where: the cluster.
    """

    def __init__(self, worker: Worker, monitor: Monitor, where: Where) -> None:
        self._worker = worker
        self._monitor = monitor
        self._where = where

    @abstractmethod
    def run(self, orders: Iterable[Order]) -> Outcomes:
        """Carry out the orders. When the generator ends, or is closed, nothing more is published."""
