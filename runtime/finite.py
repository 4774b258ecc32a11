"""Rows for which a model has no answer: an output of theirs is NaN or infinite."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import NotFiniteError, UsageError, unknown

SHOWN_ROWS = 10
"""Row numbers that a message gives."""


@dataclass(frozen=True)
class UnansweredRows:
    """The rows, out of N, of which an output is not finite, each with its reason."""

    total: int
    """N"""
    rows: NDArray[np.int64]
    """[R], ascending."""
    reasons: tuple[str, ...]
    """[R]: the first output that is not finite, and what it has instead."""

    @classmethod
    def of(cls, outputs: Mapping[str, NDArray[Any]]) -> Self:
        """Find the rows.

        Args:
            outputs: arrays [N, ...] by name; only those of floats are looked at.
        """
        total, reasons = 0, dict[int, str]()
        for name, values in outputs.items():
            total = len(values)
            if values.dtype.kind != "f" or np.isfinite(values).all():
                continue
            by_row = values.reshape(total, -1)
            is_bad = ~np.isfinite(by_row)
            rows = np.flatnonzero(is_bad.any(axis=1))
            first = by_row[rows, is_bad[rows].argmax(axis=1)]
            for row, is_nan in zip(rows.tolist(), np.isnan(first).tolist(), strict=True):
                got = "NaN" if is_nan else "infinity"
                reasons.setdefault(row, f"output {name!r}: expected finite numbers, got {got}")
        found = sorted(reasons)
        return cls(total, np.array(found, dtype=np.int64), tuple(reasons[row] for row in found))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def summary(self) -> str:
        """The first row's reason, the first rows, and how many there are."""
        shown = ", ".join(map(str, self.rows[:SHOWN_ROWS])) + (", ..." if len(self) > SHOWN_ROWS else "")
        return f"{self.reasons[0]}, in {len(self)} of {self.total} rows: {shown}"

    def refuse(self) -> None:
        """Raise NotFiniteError if there is such a row."""
        if len(self):
            raise NotFiniteError(self.summary)

    def blanked(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs with NaN for every float of the rows."""
        if not len(self):
            return dict(outputs)
        blank = {name: values.copy() for name, values in outputs.items()}
        for values in blank.values():
            if values.dtype.kind == "f":
                values[self.rows] = np.nan
        return blank


ON_BAD = ("raise", "nan")


def check_on_bad(on_bad: str) -> None:
    """Raise UsageError for an unknown way with rows whose outputs are not finite."""
    if on_bad not in ON_BAD:
        raise UsageError(f"on_bad: {unknown('policy for bad rows', on_bad, ON_BAD)}")


def answers(outputs: dict[str, NDArray[Any]], on_bad: str) -> dict[str, NDArray[Any]]:
    """The outputs, in which no number is made up: rows that are not finite raise NotFiniteError, or are NaN."""
    unanswered = UnansweredRows.of(outputs)
    if on_bad == "raise":
        unanswered.refuse()
    return unanswered.blanked(outputs)
