"""The gradient, averaged over noise around the row."""

import numpy as np
from numpy.typing import NDArray

from batch.explainers.background import Background
from batch.explainers.explainer import Explainer, Shares
from batch.explainers.memory import rows_within
from batch.explainers.model import Model
from batch.explainers.settings import ExplainSettings
from runtime.batching import batch_slices


class SmoothGrad(Explainer):
    """The mean of df/dx_i over x + noise; Smilkov et al. 2017, without taking magnitudes.

    The noise is Gaussian, as wide as a share of each feature's training standard deviation, and the same for every row,
    so that no row's values depend on another one.
    """

    def __init__(self, model: Model, background: Background, settings: ExplainSettings) -> None:
        super().__init__(model, background, settings)
        spread = np.array([feature.standard_deviation for feature in model.bundle.sidecar.features])
        drawn = np.random.default_rng(settings.seed).standard_normal((settings.samples, len(spread)))
        self.noise = (settings.noise * spread * drawn).astype(np.float32)
        """[samples, F], in the features' units."""

    def choose_references(self, background: Background) -> None:
        return None

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        values = np.empty_like(rows)
        samples = len(self.noise)
        # A sample's row, its gradient, and what PyTorch makes of both.
        for part in batch_slices(len(rows), rows_within(self.settings.memory, 16 * self.noise.size)):
            noisy = rows[part, None] + self.noise
            gradients, _ = self.model.gradients(noisy.reshape(-1, rows.shape[1]), targets[part].repeat(samples))
            values[part] = gradients.reshape(noisy.shape).mean(axis=1, dtype=np.float64)
        scores = self.model.scores(rows, targets)
        return Shares(values, scores, np.full(len(rows), samples, dtype=np.int32))
