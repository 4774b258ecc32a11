"""Methods from the gradient at a row: the gradient, input x gradient, and SmoothGrad."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.explainer import Explainer, Shares, rows_within
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.columns import LENGTH
from whyport.runtime.bundle.references import References


class Gradient(Explainer):
    """df/dx_i: the change of the score with a small change of each feature, per unit of the feature.

    Of a category, or of a group, it is the change as all of its cells rise together.
    """

    def choose_references(self, background: References) -> None:
        return None

    def attribute(self, request: Request) -> Shares:
        gradients, scores = request.gradients(self.model)
        return Shares(self.players.sum_cells(gradients), scores, np.ones(len(request), dtype=np.int32))


class InputXGradient(Explainer):
    """x_i * df/dx_i: the first-order share of each feature against a row of zeros, with the commonest categories."""

    def __init__(self, model: Model, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        assert self.references is not None
        self._origin = model.cells(self.references.rows)

    def choose_references(self, background: References) -> References:
        columns = self.model.bundle.sidecar.features
        kept = [column.categories is not None or column.kind == LENGTH for column in columns]
        return References(np.where(kept, background.mean(columns).rows, np.float32(0)), weights=np.ones(1))

    def attribute(self, request: Request) -> Shares:
        gradients, scores = request.gradients(self.model)
        values = self.players.sum_cells((request.cells(self.model) - self._origin) * gradients)
        return Shares(values, scores, np.ones(len(request), dtype=np.int32))


class SmoothGrad(Explainer):
    """The mean of df/dx_i over x + noise; Smilkov et al. 2017, without taking magnitudes.

    The noise is Gaussian. Its standard deviation is a share of each cell's training standard deviation. Every row gets
    the same noise, so no row's values depend on another row.
    """

    def __init__(self, model: Model, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        spread = cell_spread(model, background)
        samples, noise = settings.options["samples"], settings.options["noise"]
        drawn = np.random.default_rng(settings.seed).standard_normal((samples, len(spread)))
        self.noise = (noise * spread * drawn).astype(np.float32)
        """[samples, P], in the cells' units."""

    def choose_references(self, background: References) -> None:
        return None

    def attribute(self, request: Request) -> Shares:
        rows, cells, targets = request.repeated_rows, request.cells(self.model), request.target
        values = np.empty_like(cells)
        samples = len(self.noise)
        # Bytes per sample: its cells, their gradient, and PyTorch's tensors of both.
        for part in batch_slices(len(rows), rows_within(self.settings.memory, 16 * self.noise.size)):
            noisy = cells[part, None] + self.noise
            gradients, _ = self.model.gradients(noisy.reshape(-1, cells.shape[1]), targets[part].repeat(samples))
            values[part] = gradients.reshape(noisy.shape).mean(axis=1, dtype=np.float64)
        scores = self.model.scores(rows)[np.arange(len(rows)), targets].astype(np.float64)
        return Shares(self.players.sum_cells(values), scores, np.full(len(rows), samples, dtype=np.int32))


def cell_spread(model: Model, background: References) -> NDArray[np.float64]:
    """The training standard deviation of every cell, [P].

    A category's cells have the spread of its training rows, by their counts: sqrt(p (1 - p)) where a cell stands for
    one category with the share p.
    """
    sidecar = model.bundle.sidecar
    spread = np.empty(sidecar.width)
    for i, (column, places) in enumerate(zip(sidecar.features, map(list, sidecar.cells), strict=True)):
        known = column.categories
        if known is None:
            spread[places] = column.spread
            continue
        rows = background.rows[:1].repeat(known.codes, axis=0)
        rows[:, i] = np.arange(known.codes)
        cells = model.cells(rows)[:, places].astype(np.float64)
        counts = np.array([*known.counts, known.other, known.missing], dtype=np.float64)
        share = counts / max(counts.sum(), 1.0)
        spread[places] = np.sqrt(share @ (cells - share @ cells) ** 2)
    return spread
