"""The ladder of nested rules: what the integrals of a rule are, how far off, and whether a larger rule may do."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.integrals.nodes import Nodes
from whyport.batch.methods.integrals.rules import SIZES, Rule, rule

# The share of the coefficients that stands for the first, the middle and the last ones.
WINDOW = 0.25

# The coefficients of a jump fall with the degree's inverse: the last ones are just more than half of those in the
# middle. What is smooth falls faster.
SMOOTH = 0.5


@dataclass(frozen=True)
class Rung:
    """The integrals of M rows by a rule, and how the coefficients of their integrands fall.

    Between nodes, the integrand is the polynomial through them. In terms of Legendre's polynomials, its coefficients
    fall like a power series' where the gradient is smooth, and slowly where it jumps. If they go on to fall so, the
    rule's error for each polynomial, times its coefficient, adds up to the rule's error.
    """

    rule: Rule
    integrals: NDArray[np.float64]
    """[M, G]"""
    incomplete: NDArray[np.float64]
    """[M]: the completeness error."""
    change: NDArray[np.float64]
    """[M]: the change of the integrals from the rule below, over the players the root of the sum of squares."""
    coefficients: NDArray[np.float64]
    """[M, size]: each coefficient, over the players the root of the sum of squares."""

    @classmethod
    def of(cls, nodes: Nodes, fan: int, size: int) -> "Rung":
        """The rung of rows that all have `fan` paths of `size` nodes."""
        used, below = rule(size), _below(size)
        players = nodes.shares.shape[1]
        shares = nodes.shares.reshape(-1, fan, size, players)
        coefficients, before = np.zeros((len(shares), size, players)), np.zeros((len(shares), players))
        for node in range(size):
            # Summed node by node, so that a row's bits do not depend on the rows beside it.
            at_node = shares[:, :, node].sum(axis=1, dtype=np.float64)
            coefficients += used.transform[:, node, None] * at_node[:, None]
            if node % 2 == 0:
                before += below.transform[0, node // 2] * at_node
        integrals, score = coefficients[:, 0], nodes.score.reshape(-1, fan, size)
        incomplete = np.abs(integrals.sum(axis=1) - (score[:, :, -1] - score[:, :, 0]).sum(axis=1))
        change = np.sqrt(((integrals - before) ** 2).sum(axis=1))
        return cls(used, integrals, incomplete, change, np.sqrt((coefficients**2).sum(axis=2)))

    def within(self, tolerance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether a row's completeness error and the estimated error of its integrals are within, [M]; True for NaN.

        Where the rule below was further off than estimated, as the change tells, so is this one.
        """
        expected = self._errors_of(_below(len(self.rule)))
        more = np.divide(self.change, expected, out=np.ones(len(expected)), where=self.change > expected)
        return ~((self.incomplete > tolerance) | (self._errors_of(self.rule) * more > tolerance))

    @property
    def rises(self) -> NDArray[np.bool_]:
        """Whether a row goes on to a larger rule, [M]: it is smooth, or a wave that the nodes do not resolve yet.

        The nodes of the first rule are too few to tell.
        """
        ratio = self._ratio(_middle)
        found: NDArray[np.bool_] = (ratio <= SMOOTH) | (ratio >= 1) | self._is_first
        return found

    @property
    def _is_first(self) -> bool:
        return len(self.rule) == SIZES[0]

    def _errors_of(self, other: Rule) -> NDArray[np.float64]:
        """The estimated errors of a rule's integrals, [M]: over the players the root of the sum of squares."""
        size = len(self.rule)
        last = _last(size)
        mean = self._mean(last)
        # A fall from the middle is chance where there is none from the start. On the first rule, any may be.
        ratio = np.ones(len(mean)) if self._is_first else np.maximum(self._ratio(_middle), self._ratio(_first))
        fall = ratio ** (1 / (last.start - _middle(size).start))
        total = np.zeros(len(mean))
        for degree in range(len(other), len(other.errors)):
            beyond = degree - 0.5 * (last.start + last.stop - 1)
            total += other.errors[degree] * (self.coefficients[:, degree] if degree < size else mean * fall**beyond)
        return total

    def _ratio(self, window: Callable[[int], slice]) -> NDArray[np.float64]:
        """The last coefficients over those of a window, at most 1, [M]; 0 for NaN."""
        last, before = self._mean(_last(len(self.rule))), self._mean(window(len(self.rule)))
        found: NDArray[np.float64] = np.divide(last, before, out=np.where(last > 0, 1.0, 0.0), where=before > last)
        return found

    def _mean(self, degrees: slice) -> NDArray[np.float64]:
        """The root mean square of some coefficients, [M]."""
        found: NDArray[np.float64] = np.sqrt((self.coefficients[:, degrees] ** 2).mean(axis=1))
        return found


def _below(size: int) -> Rule:
    """The rule of every second node."""
    return rule((size + 1) // 2)


def _first(size: int) -> slice:
    return slice(0, _width(size))


def _middle(size: int) -> slice:
    start = (size - _width(size)) // 2
    return slice(start, start + _width(size))


def _last(size: int) -> slice:
    return slice(size - _width(size), size)


def _width(size: int) -> int:
    return max(2, int(WINDOW * size))
