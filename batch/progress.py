"""Progress: a bar on a terminal, plain log lines elsewhere."""

import logging
import sys
import time

from tqdm import tqdm

LOG_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Progress:
    """Counts rows out of a known total.

    Args:
        total: rows to come to.
        done: rows that were done before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self._total = total
        self._before = done
        self.added = 0
        """Rows that were counted here."""
        self._started = self._logged = time.monotonic()
        is_terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, unit=" rows", unit_scale=True) if is_terminal else None

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self.added += rows
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

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
