"""Signals that end a run: the first lets the part at hand finish, the second stops at once."""

import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Self

from whyport.batch.run.stopping import Stopping
from whyport.runtime.errors import InterruptedJobError

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SAY_SECONDS = 5.0
"""The least time between two lines about what is left."""

RETRY_SECONDS = 0.05
"""The wait before a stop is tried again that a destructor has swallowed."""


class _StopAtOnce(BaseException):
    """The second signal. No `except Exception` on its way, of logging or another package, may take it for its own."""


@dataclass(frozen=True)
class PartProgress:
    """The rows of the part at hand, while it is made."""

    rows: int
    rows_left: int
    rows_per_second: float | None
    """The rate since the first batch of this run; None before its end."""

    def __str__(self) -> str:
        if not self.rows_left:
            return "waiting for the part at hand to be written"
        left = f"waiting for the part at hand: {self.rows_left} of {self.rows} rows are left"
        return left if self.rows_per_second is None else f"{left}, about {self.rows_left / self.rows_per_second:.0f} s"


class Interruption(Stopping):
    """A watch for signals while its context lasts; only works in the main thread, elsewhere nothing is watched.

    - The first signal is answered at once by a line in the log, and then every few seconds, after a batch.
    - A signal that the process was started to ignore (nohup, a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._former: dict[int, Any] = {}
        self._former_hook = sys.unraisablehook
        self._part: PartProgress | None = None
        self._rows, self._since, self._said = 0, time.monotonic(), 0.0
        # A handler may neither wait for a lock nor print: it may have interrupted what holds the lock, or prints.
        self._to_say: SimpleQueue[str | None] = SimpleQueue()
        self._speaker: threading.Thread | None = None

    def check(self) -> None:
        """Raise InterruptedJobError if a signal has come."""
        if self._signal is not None:
            raise self._error("stopped after a whole part")

    def begin(self, rows: int) -> None:
        """Note that a part of so many rows begins; raises InterruptedJobError if a signal has come."""
        self.check()
        if not self._rows:
            self._since = time.monotonic()
        self._part = PartProgress(rows, rows, self._rate())

    def advance(self, rows: int) -> None:
        """Note that so many rows of the part at hand are done; after a signal, log what is left."""
        if self._part is None:
            return
        self._rows += rows
        self._part = PartProgress(self._part.rows, self._part.rows_left - rows, self._rate())
        if self._signal is not None and time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            logger.info("%s: %s", self._name(), self._part)

    def end(self) -> None:
        self._part = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._speaker = threading.Thread(target=self._speak, name="whyport-signals")
        self._speaker.start()
        self._former_hook, sys.unraisablehook = sys.unraisablehook, self._retry
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        while self._former:
            signal.signal(*self._former.popitem())
        if self._speaker is not None:
            sys.unraisablehook = self._former_hook
            self._to_say.put(None)
            self._speaker.join()
        if isinstance(error, _StopAtOnce):
            raise self._error("stopped at once") from None

    def _handle(self, number: int, _: FrameType | None) -> None:
        is_first, self._signal = self._signal is None, number
        if not is_first:
            raise _StopAtOnce
        self._said = time.monotonic()
        what = "waiting for what is under way" if self._part is None else str(self._part)
        self._to_say.put(f"{self._name()}: {what}; once more to stop at once")

    def _speak(self) -> None:
        while (line := self._to_say.get()) is not None:
            logger.warning("%s", line)

    def _retry(self, lost: Any) -> None:
        """Stop again where Python has dropped the stop, because it met a destructor."""
        if not isinstance(lost.exc_value, _StopAtOnce):
            self._former_hook(lost)
            return
        again = threading.Timer(RETRY_SECONDS, self._raise_again)
        again.daemon = True
        again.start()

    def _raise_again(self) -> None:
        if self._signal in self._former:
            signal.raise_signal(self._signal)

    def _rate(self) -> float | None:
        return self._rows / max(time.monotonic() - self._since, 1e-9) if self._rows else None

    def _name(self) -> str:
        assert self._signal is not None
        return signal.Signals(self._signal).name

    def _error(self, message: str) -> InterruptedJobError:
        assert self._signal is not None
        return InterruptedJobError(f"{message} ({self._name()}): the same command resumes", 128 + self._signal)
