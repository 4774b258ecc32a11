"""Integrated gradients by Gauss-Legendre quadrature, against the mean of the background."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.background import Background
from batch.explainers.explainer import Explainer, Shares
from batch.explainers.torchscript import PASS_ROWS
from runtime.batching import batch_slices

# Points of the paths that are held at once: enough to keep many cores busy, few enough that memory does not grow with
# rows x steps.
PATH_POINTS = 64 * PASS_ROWS


class IntegratedGradients(Explainer):
    """(x_i - r_i) * integral over a in [0, 1] of df/dx_i (r + a (x - r)); Sundararajan et al. 2017, equation 1."""

    def choose_references(self, background: Background) -> Background:
        return background.mean()

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        assert self.references is not None
        reference, steps = self.references.rows[0], self.settings.steps
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        positions = ((nodes + 1) / 2).astype(np.float32)  # from [-1, 1] to [0, 1]
        weights = (weights / 2).astype(np.float32)
        mean_gradients = np.empty_like(rows)
        for part in batch_slices(len(rows), max(1, PATH_POINTS // steps)):
            path = reference + positions[:, None] * (rows[part, None, :] - reference)
            gradients, _ = self.model.gradients(path.reshape(-1, rows.shape[1]), np.repeat(targets[part], steps))
            mean_gradients[part] = np.einsum("nsf,s->nf", gradients.reshape(path.shape), weights)
        evaluations = np.full(len(rows), steps, dtype=np.int32)
        return Shares((rows - reference) * mean_gradients, self.model.scores(rows, targets), evaluations)
