"""SIGTERM and Ctrl-C: finish the part at hand, then stop; a second one stops at once."""

import logging
import signal
import threading
from types import FrameType
from typing import Any, Self

from runtime.errors import InterruptedJobError

SIGNALS = (signal.SIGINT, signal.SIGTERM)

logger = logging.getLogger(__name__)


class Interruption:
    """Watches for signals while its context lasts; only the main thread can, elsewhere nothing is watched.

    A signal that the process was started to ignore (nohup, a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._is_announced = False
        self._former: dict[int, Any] = {}

    def check(self) -> None:
        """Call between two parts: raises InterruptedJobError if a signal has come."""
        if self._signal is not None:
            raise self._error("stopped after a whole part")

    def announce(self, rows_left: int) -> None:
        """Call between two batches: says once how many rows of the part at hand are still to come."""
        if self._signal is not None and not self._is_announced:
            self._is_announced = True
            name = signal.Signals(self._signal).name
            logger.warning("%s: %d more rows finish the part at hand; once more to stop at once", name, rows_left)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._signal is not None:
            self._signal = number
            raise self._error("stopped at once")
        self._signal = number

    def _error(self, message: str) -> InterruptedJobError:
        assert self._signal is not None
        name = signal.Signals(self._signal).name
        return InterruptedJobError(f"{message} ({name}): the same command resumes", 128 + self._signal)
