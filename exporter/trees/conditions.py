"""What a tree asks of one column, as one condition: a node's test, and all tests of a path together."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.trees import NUMBER, Trees


@dataclass(frozen=True)
class Condition(ABC):
    """A condition on the value of one column."""

    column: int

    @abstractmethod
    def holds(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether it holds for values of the column, [N]."""

    @abstractmethod
    def meet(self, other: Self) -> Self:
        """The condition that both hold; they are of one column."""

    @property
    @abstractmethod
    def opposite(self) -> Self:
        """The condition that holds where this one does not; of a node's test alone."""


@final
@dataclass(frozen=True)
class Interval(Condition):
    """A number with low < number <= high, all float32, or a missing one."""

    low: float
    high: float
    missing: bool
    """Whether it holds for NaN."""

    def holds(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        low, high = np.float32(self.low), np.float32(self.high)
        within: NDArray[np.bool_] = np.where(np.isnan(values), self.missing, (values > low) & (values <= high))
        return within

    def meet(self, other: Self) -> Self:
        low, high = max(self.low, other.low), min(self.high, other.high)
        return type(self)(self.column, low, high, self.missing and other.missing)

    @property
    def opposite(self) -> Self:
        if self.low == -np.inf:
            return type(self)(self.column, self.high, np.inf, not self.missing)
        return type(self)(self.column, -np.inf, self.low, not self.missing)


@final
@dataclass(frozen=True)
class Codes(Condition):
    """A category whose code is one of some."""

    held: tuple[bool, ...]
    """Whether it holds, by code."""

    def holds(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        return np.array(self.held)[values.astype(np.int64)]

    def meet(self, other: Self) -> Self:
        return type(self)(self.column, tuple(a and b for a, b in zip(self.held, other.held, strict=True)))

    @property
    def opposite(self) -> Self:
        return type(self)(self.column, tuple(not held for held in self.held))


class NodeTests:
    """The test of each node: the condition under which it sends a row left.

    Args:
        trees: the trees.
        codes: of each column the number of its codes; None for one of numbers.
    """

    def __init__(self, trees: Trees, codes: Sequence[int | None]) -> None:
        self._trees = trees
        self._codes = codes
        self._known: dict[tuple[int, float, bool], Condition] = {}

    def left(self, node: int) -> Condition:
        """The condition of an inner node."""
        trees = self._trees
        test = int(trees.cell[node]), float(trees.threshold[node]), bool(trees.missing_left[node])
        if test not in self._known:
            self._known[test] = self._make(*test)
        return self._known[test]

    def _make(self, cell: int, threshold: float, missing_left: bool) -> Condition:
        column, start = int(self._trees.columns[cell]), int(self._trees.encoding[cell])
        interval = Interval(column, -np.inf, threshold, missing_left)
        if start == NUMBER:
            return interval
        count = self._codes[column]
        assert count is not None
        return Codes(column, tuple(interval.holds(self._trees.tables[start : start + count]).tolist()))
