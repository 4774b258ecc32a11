"""The executor on a Spark cluster: one job of Spark's, a task for each order."""

import dataclasses
import logging
import pickle
import secrets
import threading
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

from whyport.batch.output.fence import Fence, new_fence
from whyport.batch.run.executors.executor import Executor, Outcomes
from whyport.batch.run.executors.pieces import pieces
from whyport.batch.run.worker import Order
from whyport.runtime.errors import DataError, InterruptedJobError, JobError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""The longest wait before signals are looked at."""
LEAVE_SECONDS = 10.0
"""The time that Spark has to end its job when a run ends early."""

# Known before the work begins, although Spark is imported only then.
if find_spec("pyspark") is None:
    raise ModuleNotFoundError("No module named 'pyspark'", name="pyspark")


class OnSpark(Executor):
    """Has orders carried out by the Python workers of a Spark cluster, which gives a lost one's order again."""

    def run(self, orders: Iterable[Order]) -> Outcomes:
        given = list(orders)
        if not given:
            return
        from whyport.batch.run.executors.spark_session import session_at

        setup = self._worker.setup
        with session_at(self._where.address, self._where.session) as session:
            context = session.sparkContext
            threads = setup.settings.threads or int(context.getConf().get("spark.task.cpus", "1"))
            settings = dataclasses.replace(setup.settings, threads=threads)
            small = pieces(given, context.defaultParallelism, settings.rows_of_an_order)
            logger.info("%d orders on Spark, at %s", len(small), context.master)
            fence = new_fence(self._worker.folder)
            content = pickle.dumps(dataclasses.replace(setup, settings=settings))
            job = _Job(context, content, fence, small)
            try:
                yield from self._outcomes(job, fence, small)
            finally:
                fence.take_down()
                job.end()

    def _outcomes(self, job: "_Job", fence: Fence, orders: Sequence[Order]) -> Outcomes:
        told: set[int] = set()
        bad: set[int] = set()
        is_stopping = False
        while True:
            is_stopping = is_stopping or self._is_asked_to_stop(fence)
            has_ended = job.wait(LOOK_SECONDS)
            for outcome in job.outcomes():
                order, done = orders[outcome.number], outcome.done
                if outcome.number in told:
                    continue
                told.add(outcome.number)
                self._count(order, outcome)
                if isinstance(done.error, DataError):
                    if order.index not in bad:
                        bad.add(order.index)
                        yield order, done.error
                elif done.error is None:
                    yield order, None
                elif not (is_stopping and isinstance(done.error, InterruptedJobError)):
                    raise done.error.at(done.worker)
            if has_ended:
                break
        self._monitor.interruption.check()
        job.check()
        if len(told) < len(orders):
            raise JobError(f"expected what came of {len(orders)} orders, got {len(told)}")

    def _is_asked_to_stop(self, fence: Fence) -> bool:
        """Whether a signal has come; the tasks that are left then end at once."""
        try:
            self._monitor.interruption.check()
        except InterruptedJobError:
            fence.stop()
            return True
        return False

    def _count(self, order: Order, outcome: Any) -> None:
        self._monitor.progress.add(outcome.done.rows)
        self._monitor.stages.add(outcome.done.seconds)
        workforce = self._monitor.workforce
        workforce.begun(outcome.attempts)
        if outcome.done.error is None:
            workforce.done(outcome.done.worker)
        for attempt in range(1, outcome.attempts):
            workforce.lost(f"attempt {attempt} at {order.spans[0].name}")


class _Job:
    """One job of Spark's, in a thread of its own: `collect` tells nothing before all tasks have ended.

    Args:
        context: the SparkContext.
        setup: the pickled setup of the workers.
        fence: lets them publish.
        orders: the orders.
    """

    def __init__(self, context: Any, setup: bytes, fence: Fence, orders: Sequence[Order]) -> None:
        from whyport.batch.run.executors import spark_task

        self._context = context
        self._group = f"whyport-{secrets.token_hex(8)}"
        self._told = context.accumulator([], spark_task.Outcomes())
        self._shared = context.broadcast((setup, fence))
        self._orders = orders
        self._task = spark_task.task(self._shared, self._told)
        self._seen = 0
        self._results: list[Any] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="whyport-spark", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._context.setJobGroup(self._group, "whyport run", interruptOnCancel=True)
            numbered = self._context.parallelize(list(enumerate(self._orders)), len(self._orders))
            self._results = numbered.mapPartitions(self._task).collect()
        except Exception as error:
            self._error = error

    def wait(self, seconds: float) -> bool:
        """Whether the job has ended, within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def outcomes(self) -> list[Any]:
        """The outcomes since the last call; some may be told twice."""
        told = [*self._told.value]
        new, self._seen = told[self._seen :], len(told)
        return [*new, *self._results]

    def check(self) -> None:
        """Raise JobError if Spark has given up."""
        if self._error is not None:
            raise JobError(f"expected Spark to carry out the orders, got {_reason(self._error)}")

    def end(self) -> None:
        """End the job, if it has not ended."""
        if self._thread.is_alive():
            self._context.cancelJobGroup(self._group)
            self._thread.join(LEAVE_SECONDS)
        self._shared.unpersist()


def _reason(error: Exception) -> str:
    """The first line that says what happened: Spark's messages are pages of Java."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = (line for line in lines if "Job aborted" in line or "Error" in line)
    return next(telling, lines[0] if lines else "nothing")[:400]
