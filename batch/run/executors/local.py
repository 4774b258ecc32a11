"""Parts made by this process, one after the other."""

from collections.abc import Iterable, Iterator

from whyport.batch.run.watch import Monitor
from whyport.batch.run.worker import Order, Worker
from whyport.runtime.errors import DataError


class Local:
    """Runs orders in this process.

    Args:
        worker: makes parts.
        monitor: watches the run.
    """

    def __init__(self, worker: Worker, monitor: Monitor) -> None:
        self._worker = worker
        self._monitor = monitor

    def run(self, orders: Iterable[Order]) -> Iterator[tuple[Order, DataError | None]]:
        """Carry out the orders; each comes back when it is done, with what was wrong with its input."""
        for order in orders:
            try:
                self._worker.run(order, self._monitor)
            except DataError as error:
                yield order, error
            else:
                yield order, None
