"""One explainer used without a run, in memory; its own engine's scores are the measure."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.explainer import Explainer
from whyport.batch.methods.request import Request
from whyport.runtime.attribution import Attribution


def explain(explainer: Explainer, rows: NDArray[np.float32], targets: NDArray[np.int64] | None = None) -> Attribution:
    """The attributions of rows.

    Args:
        explainer: a method on an engine.
        rows: finite raw values, [N, F].
        targets: the explained target of each row, [N]; None for all K targets per row, [N * K].
    """
    scores = explainer.model.scores(rows)
    every = Request.of_every_target(rows, scores)
    request = every if targets is None else Request.of_one_target(rows, scores, targets)
    base_values = explainer.base_values(lambda references: references.mean_of(explainer.model.scores))
    return explainer.measure(explainer.explain(request), request, base_values)
