"""LIME: a linear model of a row's score in which players are there, fitted to samples around the row."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import CALL_VALUES, Explainer, Shares
from whyport.batch.methods.lime.neighbourhood import Neighbourhood, Weigh, by_cosine, by_euclid
from whyport.batch.methods.lime.regression import WeightedRidge, order_settled
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.inputs import ImagePreparation, TextPreparation
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import UsageError


class Lime(Explainer):
    """The coefficients of Ribeiro et al. 2016, by player: the score's change as the player is there, others by chance.

    A player that is not there has the reference's values. All rows share the samples, so no row's values depend on
    another row. A player that has the reference's values anyway is no part of the fit, and has exactly 0.
    """

    plays = True

    def __init__(self, model: OnnxModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        samples, players = settings.options["samples"], len(self.players)
        if samples < players + 2:
            raise UsageError(
                f"samples: expected at least {players + 2} for lime, whose regression has a coefficient for each of "
                f"{players} players, got {samples}; --players, or --segment-count of pictures, makes fewer of them"
            )
        weigh = weigh_of(model.bundle.sidecar)
        self.neighbourhood = Neighbourhood.draw(settings.seed, samples, players, weigh)

    def choose_references(self, background: References) -> References:
        return background.mean(self.model.bundle.sidecar.features)

    def base_values(self, mean_of: object) -> None:
        """None: the coefficients make no claim to add up."""
        return None

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"standard_error": (len(self.players),), "adjusted_r2": (), "order_settled": ()}

    def row_bytes(self) -> int:
        """The scores of the samples and three more arrays of their size, in float64."""
        return 32 * len(self.neighbourhood.weights) + super().row_bytes()

    def attribute(self, request: Request) -> Shares:
        count = len(request), len(self.players)
        values, errors = (np.zeros(count, dtype=np.float32) for _ in range(2))
        fits, settled = (np.empty(len(request), dtype=np.float32) for _ in range(2))
        scores, differs = self._sample_scores(request), self._differs(request.rows)
        patterns, pattern = np.unique(differs, axis=0, return_inverse=True)
        for k, in_fit in enumerate(patterns):
            own = np.flatnonzero(pattern.reshape(-1)[request.row] == k)
            ridge = WeightedRidge(self.neighbourhood.masks[:, in_fit], self.neighbourhood.weights)
            fit = ridge.fit(scores[own])
            places = np.ix_(own, in_fit)
            values[places], errors[places] = fit.coefficients, fit.standard_error
            fits[own], settled[own] = fit.adjusted_r2, order_settled(fit.coefficients, fit.standard_error)
        extras = {"standard_error": errors, "adjusted_r2": fits, "order_settled": settled}
        evaluations = np.full(len(request), scores.shape[1] - 1, dtype=np.int32)
        return Shares(values, request.output, evaluations, extras)

    def _differs(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether each player of rows [M, F] has other values than the reference, [M, G]."""
        assert self.references is not None
        reference = self.references.rows[0]
        differs = (rows != reference) & ~(np.isnan(rows) & np.isnan(reference))
        found: NDArray[np.bool_] = self.players.sum_columns(differs.astype(np.int64)) > 0
        return found

    def _sample_scores(self, request: Request) -> NDArray[np.float64]:
        """The explained scores of the samples of each row, [E, S]; those of the row itself are known."""
        assert self.references is not None
        rows, features = request.rows, request.rows.shape[1]
        masks = self.neighbourhood.masks[1:]
        # Values are chosen by their bits, all or none of those that differ: half the time of a choice by value.
        reference = self.references.rows[0].view(np.int32)
        differing = np.ascontiguousarray(rows).view(np.int32) ^ reference
        found = np.empty((len(request), 1 + len(masks)))
        found[:, 0] = request.output
        for some in batch_slices(len(masks), max(1, CALL_VALUES // features)):
            is_there = self.players.columns_of(-masks[some].astype(np.int32))
            for part in batch_slices(len(rows), max(1, CALL_VALUES // is_there.size)):
                # A lone row needs no other array beside the masks, which nothing reads again.
                mixed = np.bitwise_and(is_there, differing[part, None], out=is_there[None] if len(rows) == 1 else None)
                mixed ^= reference
                scores = self.model.scores(mixed.view(np.float32).reshape(-1, features)).reshape(*mixed.shape[:2], -1)
                inside = slice(*np.searchsorted(request.row, [part.start, part.stop]))
                own, target = request.row[inside] - part.start, request.target[inside]
                found[inside, 1:][:, some] = scores[own, :, target]
        return found


def weigh_of(sidecar: Sidecar) -> Weigh:
    """The weights of samples around a row: by cosine distance with an image or a text, else by Euclidean distance."""
    of_pictures = any(isinstance(each.prepare, ImagePreparation | TextPreparation) for each in sidecar.inputs)
    return by_cosine if of_pictures else by_euclid
