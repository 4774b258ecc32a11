"""Occlusion: the loss of score when one feature is replaced by its mean."""

import numpy as np

from whyport.batch.methods.explainer import CALL_VALUES, Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


class Occlusion(Explainer):
    """f(x) - f(x with r_i in place of x_i), r the background's mean; Zeiler & Fergus 2014, for single features."""

    def choose_references(self, background: References) -> References:
        return background.mean()

    def attribute(self, request: Request) -> Shares:
        assert self.references is not None
        rows, features = request.rows, request.rows.shape[1]
        occluded = np.empty((len(rows), features, request.scores.shape[1]), dtype=np.float32)
        every = np.eye(features, dtype=np.bool_)
        # Slices of features too: a wide table has many replacements per row.
        for some in batch_slices(features, max(1, CALL_VALUES // features)):
            which = every[some]
            for part in batch_slices(len(rows), max(1, CALL_VALUES // which.size)):
                mixed = np.where(which, self.references.rows[0], rows[part, None])
                scores = self.model.scores(mixed.reshape(-1, features))
                occluded[part, some] = scores.reshape(*mixed.shape[:2], -1)
        output = request.output
        values = (output[:, None] - occluded[request.row, :, request.target]).astype(np.float32)
        return Shares(values, output, np.full(len(request), features, dtype=np.int32))
