"""The actors of a run on Ray. Each has one order at a time; for one that is lost there is a new one.

Ray restarts no actor here: one that it starts again answers "unavailable" at once, and would use up an order's attempts
within seconds. An order goes only to an actor that has answered: one that waits for room would hold it for ever.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError

from whyport.batch.output.fence import Fence
from whyport.batch.run.executors.executor import Outcomes
from whyport.batch.run.executors.remote import Done, RemoteWorker, own_name
from whyport.batch.run.watch import Monitor
from whyport.batch.run.worker import Order
from whyport.runtime.errors import DataError, InterruptedJobError, JobError, UsageError, WhyportError, message_line

logger = logging.getLogger(__name__)

ATTEMPTS = 4
"""The workers that may be lost with one order."""
UNANSWERED = 8
"""The workers that may be lost in a row before they answer."""
LOOK_SECONDS = 0.2
"""The longest wait before signals are looked at."""
SAY_SECONDS = 30.0
"""The time without any worker before a line in the log."""
LEAVE_SECONDS = 5.0
"""The time that workers have to clear up after themselves when a run ends early."""


@dataclass(frozen=True)
class Needs:
    """The workers of a run, and what each takes."""

    workers: int
    threads: int
    cards: int

    @classmethod
    def of(cls, threads: int | None, workers: int | None, *, on_card: bool) -> Self:
        """As many workers of so many threads, by default one, as the cluster has room for.

        Raises UsageError where it has room for none.
        """
        has = ray.cluster_resources()
        cores, cards = int(has.get("CPU", 0)), int(has.get("GPU", 0))
        each = threads or (max(1, cores // workers) if workers else 1)
        fit = min(cores // each, cards) if on_card else cores // each
        if not fit and workers is None:
            what = "a card and this many cores" if on_card else "this many cores"
            raise UsageError(f"threads: expected a cluster with {what}, {each}, got {cards} cards, {cores} cores")
        return cls(workers or fit, each, int(on_card))

    def __str__(self) -> str:
        return f"threads: {self.threads}, cards: {self.cards}"


class Actor:
    """A worker in a process of Ray's. Errors of whyport's own are values: Ray would wrap them."""

    def open(self, setup: bytes, fence: Fence) -> str | WhyportError:
        """Open the bundle; returns this process's name."""
        try:
            self._worker = RemoteWorker(setup, fence)
        except WhyportError as error:
            return error.at(own_name())
        return own_name()

    def run(self, order: Order) -> Done:
        """Carry out an order."""
        return self._worker.run(order)


class Crew:
    """Has orders carried out by actors.

    Args:
        setup: the pickled setup of their workers.
        fence: lets them publish.
        needs: how many, and what each takes.
        monitor: the clock, progress and signals of the run.
    """

    def __init__(self, setup: bytes, fence: Fence, needs: Needs, monitor: Monitor) -> None:
        self._setup = ray.put(setup)
        self._fence = fence
        self._needs = needs
        self._monitor = monitor
        self._make = ray.remote(
            num_cpus=needs.threads,
            num_gpus=needs.cards,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )(Actor)
        self._opening: dict[Any, Any] = {}
        """The actors that have not answered yet, by what they will answer."""
        self._idle: deque[Any] = deque()
        self._running: dict[Any, tuple[Any, Order]] = {}
        """The actors at work, by what they will give."""
        self._names: dict[Any, str] = {}
        self._waiting: deque[Order] = deque()
        self._bad: set[int] = set()
        self._lost_with: Counter[Order] = Counter()
        self._lost_unanswered = 0
        self._is_stopping = False
        self._said = time.monotonic()

    def carry_out(self, orders: Sequence[Order]) -> Outcomes:
        """Carry out the orders, in order as far as workers are free.

        Raises:
            JobError: too many workers were lost. InterruptedJobError: the parts at hand are published.
            WhyportError: what ended an order, unless its input is bad.
        """
        self._waiting.extend(orders)
        for _ in range(min(self._needs.workers, len(orders))):
            self._start()
        while self._waiting or self._running:
            self._look_at_signals()
            self._hand_out()
            for answer in self._answers():
                if answer in self._opening:
                    self._take_on(answer)
                elif (done := self._take(answer)) is not None:
                    yield done

    def close(self) -> None:
        """Have every actor leave what it is at, and end."""
        try:
            self._fence.take_down()
            if self._running:
                ray.wait([*self._running], num_returns=len(self._running), timeout=LEAVE_SECONDS)
        finally:
            for actor in (*self._opening.values(), *self._idle, *(actor for actor, _ in self._running.values())):
                _end(actor)

    def _start(self) -> None:
        actor = self._make.remote()
        self._opening[actor.open.remote(self._setup, self._fence)] = actor

    def _look_at_signals(self) -> None:
        """After a signal, give out nothing more; raises InterruptedJobError once nothing is at hand."""
        try:
            self._monitor.interruption.check()
        except InterruptedJobError:
            if not self._is_stopping:
                self._is_stopping = True
                self._fence.stop()
            if not self._running:
                raise

    def _hand_out(self) -> None:
        while self._waiting and self._idle and not self._is_stopping:
            actor, order = self._idle.popleft(), self._waiting.popleft()
            self._monitor.workforce.begun()
            self._running[actor.run.remote(order)] = (actor, order)

    def _answers(self) -> list[Any]:
        found, _ = ray.wait([*self._running, *self._opening], timeout=LOOK_SECONDS)
        now = time.monotonic()
        if found or self._running:
            self._said = now
        elif now - self._said > SAY_SECONDS:
            self._said = now
            free = {name: value for name, value in ray.available_resources().items() if name in ("CPU", "GPU")}
            logger.warning("waiting for a worker: each takes %s; free in the cluster: %s", self._needs, free)
        return list(found)

    def _take_on(self, answer: Any) -> None:
        """An actor that has answered has work from now on."""
        actor = self._opening.pop(answer)
        try:
            name = ray.get(answer)
        except RayTaskError as error:
            raise JobError(f"expected a worker to open the bundle, got {message_line(error.cause)}") from None
        except RayError as error:
            self._lost_unanswered += 1
            if self._lost_unanswered >= UNANSWERED:
                raise JobError(
                    f"expected workers on the cluster, lost {UNANSWERED} in a row before they answered: {_told(error)}"
                ) from None
            self._replace(actor, "one that had not answered", error)
            return
        if isinstance(name, WhyportError):
            raise name
        logger.info("worker    %s", name)
        self._lost_unanswered = 0
        self._names[actor] = name
        self._idle.append(actor)

    def _take(self, answer: Any) -> tuple[Order, DataError | None] | None:
        """The outcome of an order, for whoever gave it; None where there is nothing to say."""
        actor, order = self._running.pop(answer)
        try:
            done: Done = ray.get(answer)
        except RayTaskError as error:
            self._idle.append(actor)
            raise JobError(f"expected an order carried out, got {message_line(error.cause)}") from None
        except RayError as error:
            self._lose(actor, order, error)
            return None
        self._idle.append(actor)
        self._monitor.progress.add(done.rows)
        self._monitor.stages.add(done.seconds)
        if done.error is None:
            self._monitor.workforce.done(done.worker)
            return order, None
        if isinstance(done.error, InterruptedJobError) and self._is_stopping:
            return None
        if not isinstance(done.error, DataError):
            raise done.error.at(done.worker)
        return self._leave_out(order, done.error)

    def _leave_out(self, order: Order, error: DataError) -> tuple[Order, DataError] | None:
        """A bad input has no further orders, and is told once."""
        self._waiting = deque(each for each in self._waiting if each.index != order.index)
        if order.index in self._bad:
            return None
        self._bad.add(order.index)
        return order, error

    def _lose(self, actor: Any, order: Order, error: RayError) -> None:
        """An order whose worker is lost is given again."""
        self._lost_with[order] += 1
        if self._lost_with[order] >= ATTEMPTS:
            raise JobError(
                f"expected a worker to live through {order.spans[0].name}, lost {ATTEMPTS} in a row: {_told(error)}"
            )
        if order.index not in self._bad:
            self._waiting.appendleft(order)
        self._replace(actor, self._names[actor], error)

    def _replace(self, actor: Any, name: str, error: RayError) -> None:
        logger.warning("worker lost: %s: %s", name, _told(error))
        self._monitor.workforce.lost(name)
        _end(actor)  # it may live on beyond a broken line
        if self._waiting:
            self._start()


def _told(error: RayError) -> str:
    """The first line of Ray's message and, where it quotes an error of another process, that error: it comes last."""
    first, lines = message_line(error), [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{first} {lines[-1]}"[:500] if len(lines) > 1 else first


def _end(actor: Any) -> None:
    with suppress(RayError, ValueError):
        ray.kill(actor)
