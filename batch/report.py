"""What came out of a run, counted."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from batch.output import ScoredRows


@dataclass
class JobReport:
    """The totals of a run; grows with every batch."""

    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """Rejected rows by reason."""
    parts: int = 0
    predictions: dict[str, int] = field(default_factory=dict)
    """Rows by predicted class."""
    worst_completeness_error: dict[str, float] = field(default_factory=dict)
    """In logits, by method."""
    not_converged: dict[str, int] = field(default_factory=dict)
    """Explanations that missed the tolerance, by method."""
    provider: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside as a stage's."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def count(self, scored: ScoredRows, classes: tuple[str, ...]) -> None:
        """Add one batch."""
        counts = np.bincount(scored.probabilities.argmax(axis=1), minlength=len(classes))
        for name, rows in zip(classes, counts, strict=True):
            self.predictions[name] = self.predictions.get(name, 0) + int(rows)
        for reason, rows in Counter(scored.rows.reasons).items():
            self.rejected[reason] = self.rejected.get(reason, 0) + rows
        for method, attribution in scored.attributions.items():
            if attribution.converged is None:
                continue
            worst = float(attribution.error.max(initial=0.0))
            self.worst_completeness_error[method] = max(self.worst_completeness_error.get(method, 0.0), worst)
            missed = int(np.count_nonzero(~attribution.converged))
            self.not_converged[method] = self.not_converged.get(method, 0) + missed

    def lines(self) -> list[str]:
        """The report for a terminal."""
        rejected = sum(self.rejected.values())
        total = self.seconds.get("total", 0.0)
        lines = [
            f"rows      {self.rows_in} in = {self.rows_out} out + {rejected} rejected",
            *(f"          {count} x {reason}" for reason, count in Counter(self.rejected).most_common(10)),
            f"parts     {self.parts}",
            "classes   " + ", ".join(f"{name} {count}" for name, count in self.predictions.items()),
        ]
        for method, worst in self.worst_completeness_error.items():
            lines.append(
                f"{method}: worst completeness error {worst:.2g} logits, {self.not_converged[method]} not converged"
            )
        stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items() if name != "total")
        lines.append(
            f"time      {total:.1f} s, {self.rows_in / max(total, 1e-9):.0f} rows/s on {self.provider} ({stages})"
        )
        return lines
