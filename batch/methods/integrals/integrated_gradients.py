"""Integrated gradients against the background's mean, or averaged over the background, right on every row."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.explainer import Explainer, Shares, rows_within
from whyport.batch.methods.integrals.adaptive import AdaptiveIntegral
from whyport.batch.methods.integrals.path import Paths, Starts, Values
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.references import References

# Peak memory as measured: bytes per player, and bytes besides.
NODE_BYTES = (44, 150)
"""A node of the adaptive rule: its shares, its interval's shares and their change, and what replaces them."""


class IntegratedGradients(Explainer):
    """(x_i - r_i) * integral over a in [0, 1] of df/dx_i (r + a (x - r)); Sundararajan et al. 2017, equation 1."""

    initial_nodes: ClassVar[int | None] = None
    """Inner nodes of a path at the start; None for the ladder."""

    def __init__(self, model: Model, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        assert self.references is not None
        self._starts = Starts(model, self.references)

    def choose_references(self, background: References) -> References:
        return background.mean(self.model.bundle.sidecar.features)

    def attribute(self, request: Request) -> Shares:
        _, output = request.gradients(self.model)
        steps = self.settings.options["steps"]
        if steps is not None:
            evaluations = np.full(len(request), len(self._starts) * steps, dtype=np.int32)
            paths = Paths(self.model, self._starts, request, self.players)
            return Shares(gauss_legendre(paths, steps).astype(np.float32), output, evaluations)
        # A little is left for the difference between this engine's scores and ONNX Runtime's.
        target = request.target
        tolerance = 0.95 * self.allowed_error(output, self._starts.base_values()[target], target)
        paths = Paths(self.model, self._starts, request, self.players)
        by_player, besides = NODE_BYTES
        nodes = rows_within(self.settings.memory, by_player * len(self.players) + besides)
        most = self.settings.options["max_evaluations"]
        rule = AdaptiveIntegral(paths, tolerance, self.initial_nodes, most, nodes)
        values, evaluations = rule.compute()
        return Shares(values.astype(np.float32), output, evaluations)


class ExpectedGradients(IntegratedGradients):
    """The mean of integrated gradients over the references; Erion et al. 2021, arXiv:1906.10670, without sampling.

    The guarantee is on the mean, where errors of different references cancel. A path therefore starts with two inner
    nodes.
    """

    initial_nodes = 2

    def choose_references(self, background: References) -> References:
        return background


def gauss_legendre(paths: Paths, steps: int) -> NDArray[np.float64]:
    """The integrals [N, G] with the same nodes on every path."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    positions = (nodes + 1) / 2  # from [-1, 1] to [0, 1]
    path = np.arange(paths.rows * paths.fan).repeat(steps)
    position = np.tile(positions, paths.rows * paths.fan)
    values = np.zeros((paths.rows, paths.players))

    def compute(part: slice) -> Values:
        return paths.evaluate(path[part], position[part])

    shares, _ = paths.weighted(path, compute)
    for row, of_row in enumerate(shares.reshape(paths.rows, -1, paths.players)):
        values[row] = np.tile(weights / 2, paths.fan) @ of_row
    return values
