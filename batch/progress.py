"""Rows done out of a known total, as a bar on a terminal or lines in a log."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

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

    @property
    def done(self) -> int:
        """The rows that are done."""
        return self._before + self.added

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self.added += rows
        if self._callback is not None:
            self._call(self.done)
            return
        if self._bar is not None:
            self._bar.update(rows)
            return
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            done = self.done
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
