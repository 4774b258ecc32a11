"""Counts of reasons, and of what was left out of them, for a batch, a part or a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.output.value_totals import ValueTotals
from whyport.batch.reasons.rule import NONE, ReasonRule, Reasons

NAMED = 5
"""The features left out that a line names."""


@dataclass(frozen=True)
class ReasonTotals:
    """The reasons of some rows, counted; sums do not depend on how the rows were cut."""

    asked: int = 0
    """The most reasons of a row."""
    rows: int = 0
    """Rows with attributions by the method of the reasons."""
    fewer: int = 0
    """Rows with fewer reasons than were asked for, also those with none."""
    none: int = 0
    """Rows without a reason."""
    against: ValueTotals = field(default_factory=ValueTotals)
    """The weight against the outcome, by row."""
    without_wording: ValueTotals = field(default_factory=ValueTotals)
    """The part of it of features without a wording."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows by feature without a wording that is among the strongest against the outcome."""

    @classmethod
    def of(cls, rule: ReasonRule, reasons: Reasons) -> Self:
        """Count the reasons of a batch."""
        known = np.isfinite(reasons.against)
        has = (reasons.texts[known] != NONE).sum(axis=1)
        counts = reasons.left_out[known].sum(axis=0)
        return cls(
            asked=rule.choice.count,
            rows=int(known.sum()),
            fewer=int((has < rule.choice.count).sum()),
            none=int((has == 0).sum()),
            against=ValueTotals.of(reasons.against[known].astype(np.float32)),
            without_wording=ValueTotals.of(reasons.without_wording[known].astype(np.float32)),
            left_out={name: int(count) for name, count in zip(rule.names, counts, strict=True) if count},
        )

    @classmethod
    def of_texts(cls, texts: Sequence[NDArray[np.bool_]]) -> Self:
        """The counts that the texts alone tell, by whether each row has a first one, and a last one, [N] each."""
        first, last = texts
        return cls(rows=len(first), fewer=int((~last).sum()), none=int((~first).sum()))

    @property
    def with_texts(self) -> tuple[int, int]:
        """The rows with a first text, and with a last one."""
        return self.rows - self.none, self.rows - self.fewer

    def __add__(self, other: Self) -> Self:
        names = sorted({**self.left_out, **other.left_out})
        return type(self)(
            asked=max(self.asked, other.asked),
            rows=self.rows + other.rows,
            fewer=self.fewer + other.fewer,
            none=self.none + other.none,
            against=self.against + other.against,
            without_wording=self.without_wording + other.without_wording,
            left_out={name: self.left_out.get(name, 0) + other.left_out.get(name, 0) for name in names},
        )


@dataclass(frozen=True)
class ReasonReport:
    """The counts of a run's reasons, and of what they leave out."""

    asked: int
    """The most reasons of a row."""
    rows: int
    """Rows with attributions by the method of the reasons."""
    rows_with_fewer: int
    """Rows with fewer reasons than were asked for, also those with none."""
    rows_with_none: int
    share_without_wording: float | None
    """The part of the weight against the outcome, over all rows, of features without a wording; None without weight."""
    left_out: dict[str, int]
    """Rows by feature without a wording that is among the strongest against the outcome, the most rows first."""

    @classmethod
    def of(cls, totals: ReasonTotals) -> Self:
        """The figures for a reader, from the totals."""
        weight = totals.against.total
        return cls(
            asked=totals.asked,
            rows=totals.rows,
            rows_with_fewer=totals.fewer,
            rows_with_none=totals.none,
            share_without_wording=float(Fraction(totals.without_wording.total, weight)) if weight else None,
            left_out=dict(sorted(totals.left_out.items(), key=lambda item: (-item[1], item[0]))),
        )

    def lines(self) -> list[str]:
        """The figures for a terminal."""
        fewer = f"{self.rows_with_fewer} of {self.rows} rows have fewer than {self.asked} texts"
        lines = [f"reasons   {fewer}, {self.rows_with_none} have none"]
        if self.share_without_wording:
            lines.append(f"          {self.share_without_wording:.1%} of the weight against is of features without one")
        lines += [
            f"          {rows} x {name!r} left out, for want of a text"
            for name, rows in list(self.left_out.items())[:NAMED]
        ]
        return lines
