"""A worker in another process: what it is given, and what it gives back."""

import os
import pickle
import socket
from dataclasses import dataclass, field

from whyport.batch.output.fence import Fence
from whyport.batch.progress import Progress
from whyport.batch.run.stopping import Stopping
from whyport.batch.run.watch import Monitor, Stages
from whyport.batch.run.worker import Order, Worker, WorkerSetup
from whyport.runtime.errors import InterruptedJobError, JobError, WhyportError


@dataclass(frozen=True)
class Done:
    """The outcome of an order."""

    worker: str
    rows: int = 0
    """Input rows of the parts that were made."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    error: WhyportError | None = None
    """The error that ended it: as a value, so that it is not taken for a lost worker, and tried again."""


class RemoteWorker:
    """Builds a worker from its pickled setup, and carries out orders.

    Args:
        setup: the pickled WorkerSetup.
        fence: the fence of the run.

    Raises:
        WhyportError: the setup, or the output folder, is another one here.
    """

    def __init__(self, setup: bytes, fence: Fence) -> None:
        if not fence.is_up:
            raise JobError(
                f"expected the run's output folder, which all workers share, got another one, or a run that has ended, "
                f"in {fence.path.parent}"
            )
        unpickled: WorkerSetup = pickle.loads(setup)
        self._worker: Worker = unpickled.build(fence.disk())
        self._fence = fence

    def run(self, order: Order) -> Done:
        """Make the parts of an order."""
        stages, progress = Stages(), Progress(0, callback=_silent)
        stopping = _AtFence(self._fence)
        try:
            self._worker.run(order, Monitor(stages, progress, stopping))
        except WhyportError as error:
            return Done(own_name(), stopping.rows, stages.seconds, error)
        return Done(own_name(), stopping.rows, stages.seconds)


def own_name() -> str:
    """The name of this process, as reports have it."""
    return f"{socket.gethostname()}, process {os.getpid()}"


class _AtFence(Stopping):
    """Stops where the fence says so, before a part or, once it is down, after any batch."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._at_hand = self.rows = 0

    def check(self) -> None:
        if self._fence.is_stopping:
            raise InterruptedJobError("stopped after a whole part")

    def begin(self, rows: int) -> None:
        self.check()
        self._at_hand = rows

    def advance(self, rows: int) -> None:
        if not self._fence.is_up:
            raise InterruptedJobError("stopped in a part: its run has ended")

    def end(self) -> None:
        self.rows += self._at_hand


def _silent(done: int, total: int) -> None:
    """The run itself shows the progress."""
