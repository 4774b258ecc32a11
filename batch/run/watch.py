"""Everything that watches a run: the clock, the progress bar and log lines, and the signals that may interrupt it."""

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Self

from whyport.runtime.errors import InterruptedJobError

logger = logging.getLogger(__name__)


class Stages:
    """The seconds spent in each stage, summed over batches. Stages may overlap, in several threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the context for a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + elapsed


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A watch for signals while its context lasts; only works in the main thread, elsewhere nothing is watched.

    A signal that the process was started to ignore (nohup, a shell's background job) stays ignored.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._is_announced = False
        self._former: dict[int, Any] = {}

    def check(self) -> None:
        """Raise InterruptedJobError if a signal has come; called between two parts."""
        if self._signal is not None:
            raise self._error("stopped after a whole part")

    def announce(self, rows_left: int) -> None:
        """Say once how many rows of the current part are left, if a signal has come; called between two batches."""
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


LOG_FORMATS = ("text", "json")


class JsonFormatter(logging.Formatter):
    """JSON lines with time (UTC), level, logger and message, a record's `fields`, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def log_as_json() -> None:
    """Switch the log on stderr to JSON."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            handler.setFormatter(JsonFormatter())


LOG_SECONDS = 30.0

ProgressCallback = Callable[[int, int], None]
"""Called with the rows done and the total rows."""


class CallbackError(Exception):
    """An error of the caller's own progress callback, which no bad input is to blame for."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Progress:
    """Counts rows out of a known total.

    Args:
        total: the total number of rows.
        done: rows that were done before.
        callback: called at the start and after each batch, in the thread that runs; an error in it ends
            the run, as a CallbackError. By
            default a bar on the terminal, or lines in the log, show the progress.
    """

    def __init__(self, total: int, done: int = 0, callback: ProgressCallback | None = None) -> None:
        self._total = total
        self._before = done
        self.added = 0
        """The rows that were counted here."""
        self._started = self._logged = time.monotonic()
        self._callback = callback
        self._bar: Any = None
        if callback is not None:
            self._call(done)
        elif sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=done, unit=" rows", unit_scale=True)

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self.added += rows
        if self._callback is not None:
            self._call(self._before + self.added)
            return
        if self._bar is not None:
            self._bar.update(rows)
            return
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            done = self._before + self.added
            rate = self.added / (now - self._started)
            left = (self._total - done) / rate
            fields = {"rows": done, "total_rows": self._total, "rows_per_second": rate, "seconds_left": left}
            message = "%d of %d rows, %.0f rows/s, %.0f s left"
            logger.info(message, done, self._total, rate, left, extra={"fields": fields})

    def _call(self, done: int) -> None:
        assert self._callback is not None
        try:
            self._callback(done, self._total)
        except Exception as error:
            raise CallbackError(error) from error

    def close(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


@dataclass(frozen=True)
class Monitor:
    """The watchers of a run: the clock, the progress bar, and the signals that may interrupt it."""

    stages: Stages
    progress: Progress
    interruption: Interruption
