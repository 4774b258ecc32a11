"""What a score loses when one feature is replaced by its mean."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.explainer import CALL_VALUES, Explainer, Shares, runs
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


class Occlusion(Explainer):
    """f(x) - f(x with r_i in place of x_i), r the mean of the background; Zeiler & Fergus 2014, for single features."""

    def choose_references(self, background: References) -> References:
        return background.mean()

    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        assert self.references is not None
        first, run = runs(rows)
        distinct, features = rows[first], rows.shape[1]
        logits = self.model.logits_of_rows(distinct)
        occluded = np.empty((len(distinct), features, logits.shape[1]), dtype=np.float32)
        every = np.eye(features, dtype=np.bool_)
        # Features in slices too: of a wide table, all replacements of one row are many.
        for some in batch_slices(features, max(1, CALL_VALUES // features)):
            which = every[some]
            for part in batch_slices(len(distinct), max(1, CALL_VALUES // which.size)):
                mixed = np.where(which, self.references.rows[0], distinct[part, None])
                scores = self.model.logits(mixed.reshape(-1, features))
                occluded[part, some] = scores.reshape(*mixed.shape[:2], -1)
        output = logits[run, targets].astype(np.float64)
        values = (output[:, None] - occluded[run, :, targets]).astype(np.float32)
        return Shares(values, output, np.full(len(rows), features, dtype=np.int32))
