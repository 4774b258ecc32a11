"""Predicted quantities summed up: smallest, largest, and a sum that is exact in any order."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

UNIT_EXPONENT = 149
"""Every float32 is a whole number of 2^-149, so that sums of them as whole numbers are exact in any order."""


@dataclass(frozen=True)
class ValueTotals:
    """The predicted quantities of some rows."""

    rows: int = 0
    minimum: float | None = None
    """The smallest; None without rows."""
    maximum: float | None = None
    total: int = 0
    """The exact sum, in 2^-149 of the quantity's unit."""

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Self:
        """Count finite values, [N]."""
        if not len(values):
            return cls()
        mantissas, exponents = np.frexp(values)
        total = 0
        for exponent in np.unique(exponents):
            # A mantissa is a whole number of 2^-24, and float64 holds the sum of 2^29 of them exactly.
            whole = int(np.ldexp(mantissas[exponents == exponent].astype(np.float64), 24).sum())
            shift = int(exponent) - 24 + UNIT_EXPONENT
            total += whole << shift if shift >= 0 else whole >> -shift
        return cls(len(values), float(values.min()), float(values.max()), total)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.rows + other.rows,
            min((each for each in (self.minimum, other.minimum) if each is not None), default=None),
            max((each for each in (self.maximum, other.maximum) if each is not None), default=None),
            self.total + other.total,
        )

    @property
    def mean(self) -> float | None:
        """The mean; None without rows."""
        return float(Fraction(self.total, self.rows << UNIT_EXPONENT)) if self.rows else None
