"""Occlusion: the loss of score when one player's columns are replaced by their means."""

import numpy as np

from whyport.batch.methods.explainer import CALL_VALUES, Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


class Occlusion(Explainer):
    """f(x) - f(x with r_i in place of x_i), r the background's mean; Zeiler & Fergus 2014, for single features.

    The columns of a group are replaced together.
    """

    plays = True

    def choose_references(self, background: References) -> References:
        return background.mean(self.model.bundle.sidecar.features)

    def attribute(self, request: Request) -> Shares:
        assert self.references is not None
        rows, features = request.rows, request.rows.shape[1]
        players = len(self.players)
        occluded = np.empty((len(rows), players, request.scores.shape[1]), dtype=np.float32)
        every = np.arange(players)
        # Slices of players too: a wide table has many replacements per row.
        for some in batch_slices(players, max(1, CALL_VALUES // features)):
            which = self.players.columns_of(every[some, None] == every)
            for part in batch_slices(len(rows), max(1, CALL_VALUES // which.size)):
                mixed = np.where(which, self.references.rows[0], rows[part, None])
                scores = self.model.scores(mixed.reshape(-1, features))
                occluded[part, some] = scores.reshape(*mixed.shape[:2], -1)
        output = request.output
        values = (output[:, None] - occluded[request.row, :, request.target]).astype(np.float32)
        return Shares(values, output, np.full(len(request), players, dtype=np.int32))
