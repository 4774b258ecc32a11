"""Everything that watches a run but the signals: the clock, the progress bar and log lines."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from whyport.batch.run.stopping import Stopping
from whyport.batch.run.workforce import Workforce
from whyport.runtime.terminal import escaped_json

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
            self.add({name: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count seconds by stage."""
        with self._lock:
            for name, value in seconds.items():
                self.seconds[name] = self.seconds.get(name, 0.0) + value


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
        return escaped_json(json.dumps(entry, ensure_ascii=False, default=str))


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
    """The watchers of a run: the clock, the progress bar, what may interrupt it, and who made the parts."""

    stages: Stages
    progress: Progress
    interruption: Stopping
    workforce: Workforce = field(default_factory=Workforce)
