"""Limits on numbers of rows: a count, or a share."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self

from whyport.runtime.arguments import as_type
from whyport.runtime.errors import UsageError


@dataclass(frozen=True)
class RowLimit:
    """A number of rows: a count, or a share of all rows."""

    count: int | None = None
    share: Fraction | None = None

    @classmethod
    def parse(cls, name: str, limit: int | str) -> Self:
        """Parse 1000, "1000" or "1%", exactly; raises UsageError naming the option for anything else."""
        text = str(as_type(name, limit, (int, str)))
        try:
            share = Fraction(Decimal(text[:-1])) / 100 if text.endswith("%") else None
            found = cls(int(text) if share is None else None, share)
        except (ValueError, ArithmeticError):
            found = cls(count=-1)
        if (found.count is not None and found.count < 0) or (found.share is not None and not 0 <= found.share <= 1):
            raise UsageError(f"{name}: expected a count such as 1000 or a share such as 1%, got {text!r}")
        return found

    def of(self, total: int) -> Fraction:
        """The limit as a number, out of `total` rows."""
        return Fraction(self.count) if self.count is not None else (self.share or Fraction(0)) * total

    def is_exceeded(self, rows: int, total: int) -> bool:
        """Whether this many rows out of `total` are too many."""
        return rows > self.of(total)

    def is_above(self, rows: int, total: int) -> bool:
        """Whether this many rows out of `total` are too few."""
        return rows < self.of(total)
