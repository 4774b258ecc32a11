"""Integrated gradients against the mean of the background, or averaged over all of it, right on every row."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.adaptive import AdaptiveIntegral
from batch.explainers.background import Background
from batch.explainers.explainer import Explainer, Shares
from batch.explainers.path import Paths, References
from batch.explainers.settings import ExplainSettings
from batch.explainers.torchscript import TorchScriptModel
from runtime.batching import batch_slices

# Gradients that are held at once, in bytes: memory does not grow with rows x references x steps.
HELD_BYTES = 128 << 20


class IntegratedGradients(Explainer):
    """(x_i - r_i) * integral over a in [0, 1] of df/dx_i (r + a (x - r)); Sundararajan et al. 2017, equation 1."""

    initial_nodes = 15
    """Of the adaptive rule: few find a network's kinks too late, many cost gradients that smooth rows do not need."""
    held_gradients = 256
    """Held for a path while it is refined; a generous guess, to bound memory."""

    def __init__(self, model: TorchScriptModel, background: Background, settings: ExplainSettings) -> None:
        super().__init__(model, background, settings)
        assert self.references is not None
        self._starts = References(model, self.references)

    def choose_references(self, background: Background) -> Background:
        return background.mean()

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        values = np.empty_like(rows)
        output = np.empty(len(rows))
        evaluations = np.empty(len(rows), dtype=np.int32)
        held = len(self._starts) * (self.settings.steps or self.held_gradients)
        chunk = max(1, HELD_BYTES // (held * rows.itemsize * rows.shape[1]))
        for part in batch_slices(len(rows), chunk):
            paths = Paths(self.model, self._starts, rows[part], targets[part])
            output[part] = self.model.scores(rows[part], targets[part])
            values[part], evaluations[part] = self._integrate(paths, output[part], targets[part])
        return Shares(values, output, evaluations)

    def _integrate(
        self, paths: Paths, output: NDArray[np.float64], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        if self.settings.steps is not None:
            return gauss_legendre(paths, self.settings.steps)
        base_values = self._starts.weights @ self._starts.logits.astype(np.float64)
        # A little is left for what separates this engine's scores from ONNX Runtime's.
        tolerance = 0.95 * self.allowed_error(output - base_values[targets])
        return AdaptiveIntegral(paths, tolerance, self.initial_nodes, self.settings.max_evaluations).compute()


class ExpectedGradients(IntegratedGradients):
    """The mean of integrated gradients over the references; Erion et al. 2021, arXiv:1906.10670, without sampling.

    The guarantee is on the mean: errors of different references cancel there, so a path starts with two inner nodes.
    """

    initial_nodes = 2
    held_gradients = 32

    def choose_references(self, background: Background) -> Background:
        return background


def gauss_legendre(paths: Paths, steps: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The integrals [N, F] with the same nodes on every path, and the gradients each row took [N]."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    positions = (nodes + 1) / 2  # from [-1, 1] to [0, 1]
    gradients, _ = paths.evaluate(np.arange(len(paths)).repeat(steps), np.tile(positions, len(paths)))
    by_path = np.einsum("psf,s->pf", gradients.reshape(len(paths), steps, -1), weights / 2) * paths.direction
    weighted = (paths.weights[:, None] * by_path).reshape(paths.rows, paths.fan, -1)
    return weighted.sum(axis=1), np.full(paths.rows, paths.fan * steps, dtype=np.int32)
