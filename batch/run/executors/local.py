"""The executor that makes parts in this process, one after the other."""

from collections.abc import Iterable, Iterator

from whyport.batch.run.watch import Monitor
from whyport.batch.run.worker import Order, Worker
from whyport.runtime.errors import DataError


class Local:
    """Carries out orders in this process.

    Args:
        worker: makes parts.
        monitor: clock, progress and signals of the run.
    """

    def __init__(self, worker: Worker, monitor: Monitor) -> None:
        self._worker = worker
        self._monitor = monitor

    def run(self, orders: Iterable[Order]) -> Iterator[tuple[Order, DataError | None]]:
        """Carry out the orders; yields each when it is done, with the error if its input was bad."""
        for order in orders:
            try:
                self._worker.run(order, self._monitor)
            except DataError as error:
                yield order, error
            else:
                yield order, None
