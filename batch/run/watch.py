"""Everything that watches a run but the signals: the clock, and log lines."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from whyport.batch.progress import Progress
from whyport.batch.run.stopping import Stopping
from whyport.batch.run.workforce import Workforce
from whyport.runtime.terminal import escaped_json


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


@dataclass(frozen=True)
class Monitor:
    """The watchers of a run: the clock, the progress bar, what may interrupt it, and who made the parts."""

    stages: Stages
    progress: Progress
    interruption: Stopping
    workforce: Workforce = field(default_factory=Workforce)
