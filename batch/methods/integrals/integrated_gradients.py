"""Integrated gradients against the background's mean, or averaged over the background, right on every row."""

from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.explainer import Explainer, Shares, rows_within
from whyport.batch.methods.integrals.adaptive import AdaptiveIntegral
from whyport.batch.methods.integrals.path import Paths, Starts, Values
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References

# Peak memory as measured: bytes per player or cell, and bytes besides.
NODE_BYTES = (44, 150)
"""A node of the adaptive rule, by player: its shares, its interval's and their change, and what replaces them."""
FIXED_NODE_BYTES = (40, 150)
"""A node of the fixed rule, by cell: its gradients and direction, and its shares in float64."""


class IntegratedGradients(Explainer):
    """(x_i - r_i) * integral over a in [0, 1] of df/dx_i (r + a (x - r)); Sundararajan et al. 2017, equation 1."""

    initial_nodes: ClassVar[int | None] = None
    """Inner nodes of a path at the start; None for the ladder."""

    def __init__(self, model: Model, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        assert self.references is not None
        self._starts = Starts(model, self.references, settings.memory)

    def choose_references(self, background: References) -> References:
        return background.mean(self.model.bundle.sidecar.features)

    def attribute(self, request: Request) -> Shares:
        _, output = request.gradients(self.model)
        steps = self.settings.options["steps"]
        if steps is not None:
            evaluations = np.full(len(request), len(self._starts) * steps, dtype=np.int32)
            paths = Paths(self.model, self._starts, request, self.players)
            return Shares(gauss_legendre(paths, steps, self._fixed_nodes()).astype(np.float32), output, evaluations)
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

    def _fixed_nodes(self) -> int:
        """The number of nodes whose gradients the memory budget holds; at least one."""
        by_cell, besides = FIXED_NODE_BYTES
        return rows_within(self.settings.memory, by_cell * self.model.bundle.sidecar.width + besides)


class ExpectedGradients(IntegratedGradients):
    """The mean of integrated gradients over the references; Erion et al. 2021, arXiv:1906.10670, without sampling.

    The guarantee is on the mean, where errors of different references cancel. A path therefore starts with two inner
    nodes.
    """

    initial_nodes = 2

    def choose_references(self, background: References) -> References:
        return background


def gauss_legendre(paths: Paths, steps: int, nodes_at_once: int) -> NDArray[np.float64]:
    """The integrals [N, G] with the same nodes on every path.

    Args:
        paths: the paths.
        steps: the nodes of a path.
        nodes_at_once: how many nodes' gradients are held together.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    positions = (nodes + 1) / 2  # from [-1, 1] to [0, 1]
    values = np.zeros((paths.rows, paths.players))
    for part in batch_slices(paths.rows * paths.fan * steps, nodes_at_once):
        path, step = np.divmod(np.arange(part.start, part.stop), steps)
        shares, _ = paths.weighted(path, partial(_gradients, paths, path, positions[step]))
        row, first = np.unique(paths.row(path), return_index=True)  # ascending, as the paths are
        values[row] += np.add.reduceat(shares * (weights[step, None] / 2), first, axis=0)
    return values


def _gradients(paths: Paths, path: NDArray[np.int64], position: NDArray[np.float64], part: slice) -> Values:
    return paths.evaluate(path[part], position[part])
