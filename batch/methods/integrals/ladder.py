"""Nested Clenshaw-Curtis rules: of a smooth function, each next one is right to twice as many digits."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.integrals.nodes import Nodes

RUNGS = (8, 16, 32, 64)
"""The intervals of each rule."""

FIRST_RUNG = RUNGS[0]

# Where a gradient jumps, the change from one rule to the next is half the change before: on the demo model it is less
# than this share for one row in five. Where the gradient is smooth, the changes fall ever faster.
SMOOTH = 0.35

# Up to this ratio of the changes, the error that is left is smaller than the last change by the ratio's power: by the
# square for smooth functions, as the number of right digits doubles, and by less for others. QUADPACK (1983) has the
# same power. Beyond, the last change stands for the error: it is that of the rule before. So it does
# on the first rule, where a small ratio may be luck.
TRUSTED = 0.2
LEFT = 1.5


@dataclass(frozen=True)
class Rung:
    """The integrals of M rows by a rule, and what the rules below it tell of their errors."""

    intervals: int
    integrals: NDArray[np.float64]
    """[M, G]"""
    incomplete: NDArray[np.float64]
    """[M]: the completeness error."""
    change: NDArray[np.float64]
    """[M]: the change of the integrals from the rule below, the root of the sum of the players' squares."""
    ratio: NDArray[np.float64]
    """[M]: this change over the one before."""

    @classmethod
    def of(cls, nodes: Nodes, fan: int, intervals: int) -> "Rung":
        """The rung of rows that all have `fan` paths of `intervals` + 1 nodes.

        The rules with half and a quarter of the intervals have every second and every fourth of the nodes.
        """
        players = nodes.shares.shape[1]
        shares = nodes.shares.reshape(-1, fan, intervals + 1, players)
        rules = [(2**skipped, weights(intervals >> skipped)) for skipped in range(3)]
        sums = np.zeros((len(rules), len(shares), players))
        for node in range(intervals + 1):
            # Summed node by node, so that a row's bits do not depend on the rows beside it.
            at_node = shares[:, :, node].sum(axis=1, dtype=np.float64)
            for of_rule, (stride, weight) in zip(sums, rules, strict=True):
                if node % stride == 0:
                    of_rule += weight[node // stride] * at_node
        score = nodes.score.reshape(-1, fan, intervals + 1)
        incomplete = np.abs(sums[0].sum(axis=1) - (score[:, :, -1] - score[:, :, 0]).sum(axis=1))
        change, before = np.sqrt((np.diff(sums, axis=0) ** 2).sum(axis=2))
        ratio = np.divide(change, before, out=np.where(change > 0, np.inf, 0.0), where=before > 0)
        return cls(intervals, sums[0], incomplete, change, ratio)

    @property
    def is_smooth(self) -> NDArray[np.bool_]:
        """Whether the changes fall as those of smooth functions do, [M]; True for NaN."""
        return ~(self.ratio > SMOOTH)

    def within(self, tolerance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether a row's completeness error and the estimated error of its integrals are within, [M]; True for NaN."""
        trusted = (self.ratio <= TRUSTED) & (self.intervals > FIRST_RUNG)
        estimated = self.change * np.where(trusted, self.ratio, 1.0) ** LEFT
        return ~((self.incomplete > tolerance) | (estimated > tolerance))


@cache
def positions(intervals: int) -> NDArray[np.float64]:
    """The nodes of the rule in [0, 1]; every second one is a node of the rule with half the intervals."""
    nodes: NDArray[np.float64] = (1 - np.cos(np.pi * np.arange(intervals + 1) / intervals)) / 2
    return nodes


@cache
def weights(intervals: int) -> NDArray[np.float64]:
    """The weights of the rule, which is exact for polynomials up to the degree `intervals` + 1; Clenshaw & Curtis 1960.

    Args:
        intervals: an even number.
    """
    frequency = np.arange(1, intervals // 2 + 1)
    size = np.where(frequency == intervals // 2, 1, 2) / (4.0 * frequency**2 - 1)
    waves = np.cos(2 * np.pi * np.outer(np.arange(intervals + 1), frequency) / intervals)
    found: NDArray[np.float64] = (1 - waves @ size) / intervals
    found[[0, -1]] /= 2
    return found
