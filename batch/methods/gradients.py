"""Methods from the gradient at a row: the gradient, input x gradient, and SmoothGrad."""

import numpy as np

from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.explainer import Explainer, Shares, rows_within
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


class Gradient(Explainer):
    """df/dx_i: the change of the score with a small change of each feature, per unit of the feature."""

    def choose_references(self, background: References) -> None:
        return None

    def attribute(self, request: Request) -> Shares:
        gradients, scores = request.gradients(self.model)
        return Shares(gradients, scores, np.ones(len(request), dtype=np.int32))


class InputXGradient(Explainer):
    """x_i * df/dx_i: the first-order share of each feature against a row of zeros."""

    def choose_references(self, background: References) -> References:
        return References(rows=np.zeros_like(background.rows[:1]), weights=np.ones(1))

    def attribute(self, request: Request) -> Shares:
        gradients, scores = request.gradients(self.model)
        return Shares(request.repeated_rows * gradients, scores, np.ones(len(request), dtype=np.int32))


class SmoothGrad(Explainer):
    """The mean of df/dx_i over x + noise; Smilkov et al. 2017, without taking magnitudes.

    The noise is Gaussian. Its standard deviation is a share of each feature's training standard deviation. Every row
    gets the same noise, so no row's values depend on another row.
    """

    def __init__(self, model: Model, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        spread = np.array([column.spread for column in model.bundle.sidecar.columns])
        samples, noise = settings.options["samples"], settings.options["noise"]
        drawn = np.random.default_rng(settings.seed).standard_normal((samples, len(spread)))
        self.noise = (noise * spread * drawn).astype(np.float32)
        """[samples, F], in the features' units."""

    def choose_references(self, background: References) -> None:
        return None

    def attribute(self, request: Request) -> Shares:
        rows, targets = request.repeated_rows, request.target
        values = np.empty_like(rows)
        samples = len(self.noise)
        # Bytes per sample: its row, its gradient, and PyTorch's tensors of both.
        for part in batch_slices(len(rows), rows_within(self.settings.memory, 16 * self.noise.size)):
            noisy = rows[part, None] + self.noise
            gradients, _ = self.model.gradients(noisy.reshape(-1, rows.shape[1]), targets[part].repeat(samples))
            values[part] = gradients.reshape(noisy.shape).mean(axis=1, dtype=np.float64)
        scores = self.model.scores(rows)[np.arange(len(rows)), targets].astype(np.float64)
        return Shares(values, scores, np.full(len(rows), samples, dtype=np.int32))
