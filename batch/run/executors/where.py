"""Where the parts of a run are made: the text behind --on."""

from dataclasses import dataclass
from typing import Any, Self

from whyport.runtime.arguments import at_least
from whyport.runtime.errors import UsageError, unknown

LOCAL, RAY, SPARK = "local", "ray", "spark"
KNOWN = (LOCAL, RAY, SPARK)


@dataclass(frozen=True)
class Where:
    """An executor, and the cluster that it uses."""

    executor: str = LOCAL
    address: str | None = None
    """The cluster's address; None for one that is at hand, or is started here."""
    workers: int | None = None
    """The number of workers on Ray; None for as many as the cluster holds."""
    session: Any = None
    """The caller's own SparkSession."""

    @classmethod
    def parse(cls, on: str, workers: int | None = None) -> Self:
        """The place behind "local", "ray", "ray://host:10001", "spark" or "spark://host:7077".

        Raises UsageError for another text, and for workers that the place does not have.
        """
        name, separator, _ = on.partition("://")
        if name not in KNOWN or (name == LOCAL and separator):
            raise UsageError(unknown("executor", on, KNOWN))
        if workers is not None:
            at_least("workers", workers, 1)
            if name != RAY:
                raise UsageError(f"workers: expected on {RAY!r} beside it, got {on!r}")
        return cls(name, on if separator else None, workers)
