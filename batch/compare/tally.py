"""Counts of numbers by bin with their sums, and counts of categories."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.runtime.inputs.categories import category_text

MOST_CATEGORIES = 10_000
"""Values of one column that are told apart; what comes after them is counted together."""
RARER = "(others)"
"""The name of the values that are counted together."""


class Tally:
    """One variable's values, counted between edges and summed up: bin i holds edge[i-1] <= value < edge[i].

    Args:
        edges: the B - 1 edges, ascending, as float32.
    """

    def __init__(self, edges: NDArray[np.float32]) -> None:
        self.edges = edges
        self.counts = np.zeros(len(edges) + 1)
        """[B]: the number, or the weight, of the values in each bin."""
        self.missing = 0.0
        """The number of values that are missing or infinite."""
        self.sum = 0.0
        """The sum of the finite values."""
        self.magnitude = 0.0
        """The sum of their magnitudes."""

    def add(self, values: NDArray[np.float32]) -> None:
        """Count values [N]."""
        finite = np.isfinite(values)
        if not finite.all():
            self.missing += len(values) - int(np.count_nonzero(finite))
            values = values[finite]
        # A comparison with each of so few edges takes less time than a search, or a sort.
        below = [np.count_nonzero(values < edge) for edge in self.edges]
        self.counts += np.diff([0, *below, len(values)])
        exact = values.astype(np.float64)
        self.sum += float(exact.sum())
        self.magnitude += float(np.abs(exact, out=exact).sum())

    def add_weighted(self, values: NDArray[np.float32], weights: NDArray[np.float64]) -> None:
        """Count values [N] with weights [N]."""
        finite = np.isfinite(values)
        self.missing += float(weights[~finite].sum())
        values, weights = values[finite], weights[finite]
        self.counts += np.bincount(np.searchsorted(self.edges, values, side="right"), weights, len(self.counts))
        self.sum += float(weights @ values)
        self.magnitude += float(weights @ np.abs(values))

    def merge(self, other: "Tally") -> None:
        """Take the values of another tally with the same edges."""
        self.counts += other.counts
        self.missing += other.missing
        self.sum += other.sum
        self.magnitude += other.magnitude

    @property
    def known(self) -> float:
        """The number of finite values."""
        return float(self.counts.sum())

    @property
    def mean(self) -> float:
        """The mean of the finite values; NaN without any."""
        return self.sum / self.known if self.known else float("nan")

    @property
    def mean_magnitude(self) -> float:
        """The mean of the finite values' magnitudes; NaN without any."""
        return self.magnitude / self.known if self.known else float("nan")


class CategoryTally:
    """One variable's values, counted by category."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.missing = 0.0

    def add(self, values: pa.Array) -> None:
        """Count an array of texts, numbers or booleans; an empty text is a missing value."""
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        counted = pc.value_counts(values)
        found: Counter[str] = Counter()
        for value, count in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True):
            if value is None or value == "" or value != value:
                self.missing += count
            else:
                found[_text(value)] += count
        self._take(found)

    def merge(self, other: "CategoryTally") -> None:
        """Take the values of another tally."""
        self.missing += other.missing
        self._take(other.counts)

    def _take(self, found: "Counter[str]") -> None:
        for name, count in found.items():
            is_known = name in self.counts or len(self.counts) < MOST_CATEGORIES
            self.counts[name if is_known else RARER] += count

    @property
    def known(self) -> float:
        """The number of values that are not missing."""
        return float(sum(self.counts.values()))


def _text(value: Any) -> str:
    try:
        return category_text(value)
    except (TypeError, ValueError):  # dates, bytes, lists
        return str(value)
