"""Progress: a bar on a terminal, plain log lines elsewhere."""

import logging
import sys
import time

from tqdm import tqdm

LOG_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Progress:
    """Counts rows out of a known total."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = self._logged = time.monotonic()
        self._bar = tqdm(total=total, unit=" rows", unit_scale=True) if sys.stderr.isatty() else None

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self._done += rows
        if self._bar is not None:
            self._bar.update(rows)
            return
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            rate = self._done / (now - self._started)
            left = (self._total - self._done) / rate
            logger.info("%d of %d rows, %.0f rows/s, %.0f s left", self._done, self._total, rate, left)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
