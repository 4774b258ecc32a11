"""Exact Shapley values of tree ensembles, against the whole background or against the trees' own training rows."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.batch.methods.treeshap.forest import Forest, leaf_shares
from whyport.batch.methods.treeshap.kernel import Kernel
from whyport.batch.methods.treeshap.measure import measure_of
from whyport.batch.methods.treeshap.raw_scores import RawScores
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import TREES_FILE
from whyport.runtime.bundle.tree_file import read_trees
from whyport.runtime.errors import BundleError

OWN_BYTES = 8
"""The part of the memory budget that tables may take, as its divisor; the rest is the rows'."""


class TreeShap(Explainer):
    """The Shapley values of the game in which players take the row's values, and others a reference's; Lundberg 2020.

    Exact, in float64: the mean over all references is inside the tables. With `path_dependent`, a player out of the
    coalition goes both ways at its splits, in the shares of the training rows.
    """

    only_rounds = True

    def __init__(self, model: OnnxModel, background: References, settings: MethodSettings) -> None:
        self._path_dependent = bool(settings.options["path_dependent"])
        super().__init__(model, background, settings)
        self._trees = trees = read_trees(model.bundle)
        if self._path_dependent and trees.cover is None:
            raise BundleError(
                f"bundle {model.bundle.sidecar.name!r} cannot serve 'treeshap' with path_dependent: its trees do not "
                "say how many training rows came by; without it, treeshap measures against the background"
            )
        self._scores = RawScores.of(trees)
        of_cell = self.players.of_column[trees.columns]
        forest = Forest.of(trees, of_cell, self._scores.value, self._path_dependent)
        rows = background.rows[:0] if self._path_dependent else background.rows
        measure = measure_of(forest, trees.cells(rows), background.weights[: len(rows)])
        if self._path_dependent:
            raw = (leaf_shares(forest)[:, None] * trees.value).sum(axis=0)
            self._base_values = trees.weights @ raw + trees.offset
        else:
            self._base_values = background.weights @ trees.scores(rows)
        self._kernel = Kernel(forest, measure, len(self.players), model.session.threads, settings.memory // OWN_BYTES)

    @property
    def scored_by(self) -> str:
        return TREES_FILE

    def choose_references(self, background: References) -> References | None:
        return None if self._path_dependent else background

    def base_values(self, mean_of: Callable[[References], NDArray[np.float64]]) -> NDArray[np.float64] | None:
        return self._base_values if self._path_dependent else super().base_values(mean_of)

    def row_bytes(self) -> int:
        """Shares in float64 twice, by player and by row, and the cells three times."""
        sidecar = self.model.bundle.sidecar
        return 24 * len(self.players) + 12 * len(self._trees.columns) + 4 * len(sidecar.columns) + 64

    def attribute(self, request: Request) -> Shares:
        score, factor = self._scores.of_target[request.target], self._scores.factor[request.target]
        # Targets that share a raw score, as both of two classes do, are explained once.
        lanes, lane = np.unique(score * len(request.rows) + request.row, return_inverse=True)
        lane_score, lane_row = np.divmod(lanes, len(request.rows))
        cells = np.ascontiguousarray(self._trees.cells(request.rows)[lane_row].T)
        starts = np.searchsorted(lane_score, np.arange(lane_score.max(initial=-1) + 2))
        blocks = [(int(a), int(b), c) for c, (a, b) in enumerate(pairwise(starts)) if a < b]
        values = self._kernel.shares(cells, blocks).T[lane] * factor[:, None] + 0.0  # of -0.0 too
        # The trees' own score, by their own sum: it is compared with ONNX Runtime's.
        output = self._base_values[request.target] + values.sum(axis=1)
        return Shares(values.astype(np.float32), output, np.ones(len(request), dtype=np.int32))
