"""How long each stage of a run took."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Counts seconds by stage; grows with every batch. Stages may overlap, in several threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside as a stage's."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + elapsed
