"""The executor that makes parts in this process, one after the other."""

from collections.abc import Iterable

from whyport.batch.run.executors.executor import Executor, Outcomes
from whyport.batch.run.worker import Order
from whyport.runtime.errors import DataError


class Local(Executor):
    """Carries out orders in this process."""

    def run(self, orders: Iterable[Order]) -> Outcomes:
        for order in orders:
            try:
                self._worker.run(order, self._monitor)
            except DataError as error:
                yield order, error
            else:
                yield order, None
