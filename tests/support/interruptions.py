"""Runs that are interrupted between two parts."""

from whyport.batch.run.interruption import Interruption
from whyport.runtime.errors import InterruptedJobError


class StopAfter(Interruption):
    """Comes before the part of this number."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._parts = parts

    def check(self) -> None:
        if self._parts == 0:
            raise InterruptedJobError("stopped")
        self._parts -= 1
