"""Integrated gradients against the mean of the background, with a guarantee on every row."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.background import Background
from batch.explainers.explainer import Explainer, Shares
from batch.explainers.path import AdaptivePaths, Paths
from runtime.batching import batch_slices

# Gradients that are held at once, in bytes: memory does not grow with rows x steps.
HELD_BYTES = 128 << 20
# About how many a row needs at the default tolerance, with the room that bookkeeping takes.
ADAPTIVE_GRADIENTS = 256


class IntegratedGradients(Explainer):
    """(x_i - r_i) * integral over a in [0, 1] of df/dx_i (r + a (x - r)); Sundararajan et al. 2017, equation 1."""

    def choose_references(self, background: Background) -> Background:
        return background.mean()

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        values = np.empty_like(rows)
        evaluations = np.empty(len(rows), dtype=np.int32)
        held = self.settings.steps or ADAPTIVE_GRADIENTS
        chunk = max(1, HELD_BYTES // (held * rows[:1].nbytes)) if len(rows) else 1
        for part in batch_slices(len(rows), chunk):
            values[part], evaluations[part] = self._integrate(rows[part], targets[part])
        return Shares(values, self.model.scores(rows, targets), evaluations)

    def _integrate(
        self, rows: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        assert self.references is not None
        paths = Paths(self.model, self.references.rows[0], rows, targets)
        if self.settings.steps is not None:
            return gauss_legendre(paths, self.settings.steps)
        # A little is left for what separates this engine's scores from ONNX Runtime's.
        tolerance = 0.95 * self.allowed_error(paths.difference)
        return AdaptivePaths(paths, tolerance, self.settings.max_evaluations).integrate()


def gauss_legendre(paths: Paths, steps: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The integrals [N, F] with the same nodes on every path, and the gradients each took [N]."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    positions = (nodes + 1) / 2  # from [-1, 1] to [0, 1]
    rows = np.arange(len(paths))
    gradients, _ = paths.evaluate(rows.repeat(steps), np.tile(positions, len(rows)))
    integrals = np.einsum("nsf,s->nf", gradients.reshape(len(rows), steps, -1), weights / 2)
    return integrals * paths.direction, np.full(len(rows), steps, dtype=np.int32)
