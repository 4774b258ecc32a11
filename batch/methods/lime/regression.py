"""The weighted ridge regression that LIME explains by, with what its samples leave uncertain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PENALTY = 1.0
"""The ridge's penalty on each squared coefficient, as `lime` has it; the intercept has none."""

INTERVAL = 1.96
"""Standard errors on each side of a coefficient: 95 % of a normal distribution."""


@dataclass(frozen=True)
class Fit:
    """The linear models of E scores in G players."""

    coefficients: NDArray[np.float64]
    """[E, G]: the score's change as a player is there."""
    standard_error: NDArray[np.float64]
    """[E, G]: what other samples would change of a coefficient."""
    adjusted_r2: NDArray[np.float64]
    """[E]: the weighted share of the scores' variance that the model has, less what its size alone would give it."""


class WeightedRidge:
    """The regression of scores on masks, solved once for all scores.

    It minimises Σ w_s (y_s - b_0 - m_s·b)² + |b|²: `sklearn.linear_model.Ridge(alpha=1)` with sample weights.

    Args:
        masks: which of G players are there in each of S samples, [S, G]; S is larger than G + 1.
        weights: the samples' weights, [S].
    """

    def __init__(self, masks: NDArray[np.bool_], weights: NDArray[np.float64]) -> None:
        samples, players = masks.shape
        self._design = np.concatenate([np.ones((samples, 1)), masks], axis=1)
        self._weights = weights
        weighted = weights[:, None] * self._design
        penalty = np.diag([0.0, *[PENALTY] * players])
        self._solution = np.linalg.solve(self._design.T @ weighted + penalty, weighted.T)
        """[1 + G, S]: coefficients are its products with scores."""

    def fit(self, scores: NDArray[np.float64]) -> Fit:
        """The models of scores [E, S].

        The standard error is the sandwich estimate, which asks nothing of the residuals: the solution is linear in the
        scores, so its variance is Σ_s c_s² e_s², with e_s the residuals, times S / (S - G - 1). White 1980,
        doi:10.2307/1912934.
        """
        samples, size = self._design.shape
        solved = scores @ self._solution.T
        squares = (scores - solved @ self._design.T) ** 2
        variance = squares @ (self._solution**2).T * (samples / (samples - size))
        coefficients, standard_error = solved[:, 1:], np.sqrt(variance[:, 1:])
        return Fit(coefficients, standard_error, self._adjusted_r2(scores, squares))

    def _adjusted_r2(self, scores: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 - (1 - R²)(S - 1) / (S - G - 1); 1 where scores differ by no more than float32's rounding."""
        samples, size = self._design.shape
        mean = scores @ self._weights / self._weights.sum()
        spread = (scores - mean[:, None]) ** 2 @ self._weights
        rounding = (np.finfo(np.float32).eps * np.abs(scores).max(axis=1)) ** 2 * self._weights.sum()
        is_flat = spread <= rounding
        unexplained = squares @ self._weights / np.where(is_flat, 1, spread) * ((samples - 1) / (samples - size))
        found: NDArray[np.float64] = np.where(is_flat, 1, 1 - unexplained)
        return found


def order_settled(coefficients: NDArray[np.float64], standard_error: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of leading players whose place by magnitude is settled, [E], of values [E, G].

    A player's place is settled where |coefficient| - 1.96 standard errors is above |coefficient| + 1.96 standard errors
    of every player after it. The first one that is not ends the count.
    """
    magnitude = np.abs(coefficients)
    order = np.argsort(-magnitude, axis=1, kind="stable")
    low, high = (np.take_along_axis(magnitude + side * INTERVAL * standard_error, order, axis=1) for side in (-1, 1))
    after = np.maximum.accumulate(high[:, ::-1], axis=1)[:, ::-1]
    is_settled = np.ones_like(low, dtype=np.bool_)
    is_settled[:, :-1] = low[:, :-1] > after[:, 1:]
    settled: NDArray[np.int64] = np.cumprod(is_settled, axis=1).sum(axis=1)
    return settled
