"""Integrated gradients against the mean of the background, or averaged over all of it, right on every row."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.adaptive import AdaptiveIntegral
from batch.explainers.background import Background
from batch.explainers.explainer import Explainer, Shares
from batch.explainers.memory import rows_within
from batch.explainers.path import Paths, References
from batch.explainers.settings import ExplainSettings
from batch.explainers.torchscript import TorchScriptModel
from runtime.batching import batch_slices

# Bytes held at the peak, measured: by feature, and besides.
INTERVAL_BYTES = (72, 200)
"""For an interval of the adaptive rule: three gradients, its integral and errors, and their like while it is halved."""
NODE_BYTES = (16, 40)
"""For a node of the fixed rule."""


class IntegratedGradients(Explainer):
    """(x_i - r_i) * integral over a in [0, 1] of df/dx_i (r + a (x - r)); Sundararajan et al. 2017, equation 1."""

    initial_intervals = 8
    """Of the adaptive rule: few find a network's kinks too late, many cost gradients that smooth rows do not need."""

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
        for part in batch_slices(len(rows), rows_within(self.settings.memory, self._path_bytes())):
            paths = Paths(self.model, self._starts, rows[part], targets[part])
            output[part] = self.model.scores(rows[part], targets[part])
            values[part], evaluations[part] = self._integrate(paths, output[part], targets[part])
        return Shares(values, output, evaluations)

    def _path_bytes(self) -> int:
        """What the paths to a row hold if the row takes all the gradients that it may."""
        fan, features = len(self._starts), len(self.model.bundle.sidecar.features)
        if self.settings.steps is not None:
            by_feature, besides = NODE_BYTES
            return fan * (self.settings.steps + 2) * (by_feature * features + besides)  # 2 for the path itself
        # A row that is not given up has less than half of (limit + fan) intervals, and may halve them all once more.
        intervals = max(self.settings.max_evaluations + fan, fan * self.initial_intervals)
        by_feature, besides = INTERVAL_BYTES
        return intervals * (by_feature * features + besides)

    def _integrate(
        self, paths: Paths, output: NDArray[np.float64], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        if self.settings.steps is not None:
            return gauss_legendre(paths, self.settings.steps)
        base_values = self._starts.weights @ self._starts.logits.astype(np.float64)
        # A little is left for what separates this engine's scores from ONNX Runtime's.
        tolerance = 0.95 * self.allowed_error(output - base_values[targets])
        return AdaptiveIntegral(paths, tolerance, self.initial_intervals, self.settings.max_evaluations).compute()


class ExpectedGradients(IntegratedGradients):
    """The mean of integrated gradients over the references; Erion et al. 2021, arXiv:1906.10670, without sampling.

    The guarantee is on the mean: errors of different references cancel there, so most paths need a single inner node.
    """

    initial_intervals = 1

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
