"""The task of a Python worker of Spark: orders in, their outcomes out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pyspark import TaskContext
from pyspark.accumulators import AccumulatorParam

from whyport.batch.output.fence import Fence
from whyport.batch.run.executors.remote import Done, RemoteWorker, own_name
from whyport.batch.run.worker import Order
from whyport.runtime.errors import WhyportError


@dataclass(frozen=True)
class Outcome:
    """The outcome of an order."""

    number: int
    """The order's place among all."""
    attempts: int
    """The attempts at the order, with this one."""
    done: Done


class Outcomes(AccumulatorParam[list[Outcome]]):  # type: ignore[misc]
    """Outcomes that reach the driver when their task has ended, while others are at work."""

    def zero(self, value: list[Outcome]) -> list[Outcome]:
        """Nothing yet."""
        return []

    def addInPlace(self, value1: list[Outcome], value2: list[Outcome]) -> list[Outcome]:  # noqa: N802
        """Both, in order."""
        value1.extend(value2)
        return value1


_opened: tuple[bytes, Fence, RemoteWorker] | None = None
"""The worker of the attempt that this process works for: Spark uses its Python processes again. It is of one attempt
alone, since a worker writes to one folder."""


def task(shared: Any, tell: Any) -> Callable[[Iterator[tuple[int, Order]]], Iterator[Outcome]]:
    """The function for `mapPartitions`.

    Args:
        shared: the broadcast setup, pickled, and the fence.
        tell: the accumulator of outcomes.
    """

    def carry_out(orders: Iterator[tuple[int, Order]]) -> Iterator[Outcome]:
        context = TaskContext.get()
        attempts = 1 if context is None else context.attemptNumber() + 1
        setup, fence = shared.value
        for number, order in orders:
            outcome = Outcome(number, attempts, _carry_out(setup, fence, order))
            tell.add([outcome])
            yield outcome

    return carry_out


def _carry_out(setup: bytes, fence: Fence, order: Order) -> Done:
    global _opened
    try:
        if _opened is None or _opened[:2] != (setup, fence):
            _opened = None
            _opened = (setup, fence, RemoteWorker(setup, fence))
    except WhyportError as error:
        return Done(own_name(), error=error)
    return _opened[2].run(order)
