"""The executor that makes parts in this process, one after the other."""

from collections.abc import Iterable, Iterator

from whyport.batch.run.executors.executor import Executor
from whyport.batch.run.worker import Order
from whyport.runtime.errors import DataError


class Local(Executor):
    """Carries out orders in this process."""

    def run(self, orders: Iterable[Order]) -> Iterator[tuple[Order, DataError | None]]:
        for order in orders:
            try:
                self._worker.run(order, self._monitor)
            except DataError as error:
                yield order, error
            else:
                yield order, None
