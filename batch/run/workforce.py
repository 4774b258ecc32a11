"""Who made the parts of a run: the workers of an executor, and those that were lost."""

from collections import Counter

from whyport.batch.output.result import Workers


class Workforce:
    """Counts orders by worker."""

    def __init__(self) -> None:
        self._done: Counter[str] = Counter()
        self._lost: list[str] = []
        self._attempts = 0

    def begun(self, attempts: int = 1) -> None:
        """Note that so many orders were given to a worker."""
        self._attempts += attempts

    def done(self, worker: str) -> None:
        """Note that a worker has carried out an order."""
        self._done[worker] += 1

    def lost(self, worker: str) -> None:
        """Note that a worker was lost."""
        self._lost.append(worker)

    @property
    def report(self) -> Workers | None:
        """The figures for the report; None where this process itself made the parts."""
        if not self._attempts and not self._lost:
            return None
        return Workers(dict(sorted(self._done.items())), self._attempts, tuple(self._lost))
