"""The gradient, and the gradient times the input."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.background import Background
from batch.explainers.explainer import Explainer, Shares


class Gradient(Explainer):
    """df/dx_i: how the score answers to a small change of each feature, in logits per unit of the feature."""

    def choose_references(self, background: Background) -> None:
        return None

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        gradients, scores = self.model.gradients_of_rows(rows, targets)
        return Shares(gradients, scores, np.ones(len(rows), dtype=np.int32))


class InputXGradient(Explainer):
    """x_i * df/dx_i: the first-order share of each feature against a row of zeros."""

    def choose_references(self, background: Background) -> Background:
        return Background(rows=np.zeros_like(background.rows[:1]), weights=np.ones(1))

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        gradients, scores = self.model.gradients_of_rows(rows, targets)
        return Shares(rows * gradients, scores, np.ones(len(rows), dtype=np.int32))
