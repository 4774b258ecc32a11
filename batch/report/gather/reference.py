"""The methods' attributions of the bundle's reference rows, for comparison with the run's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.output.layouts import strongest
from whyport.batch.report.gather.by_feature import sums_by_feature
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.rows import CleanBatch, ScoredRows
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.targets import PREDICTED, TargetChoice
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

REFERENCE_ROWS = 200
"""The most reference rows that are explained; the heaviest are taken."""


@dataclass(frozen=True)
class ReferenceAttributions:
    """A method's attributions of the reference rows, for the classes that the run explains."""

    values: NDArray[np.float64]
    """[R, F]; [R * C, F] if every class is explained."""
    weights: NDArray[np.float64]
    rows: int
    """The number of reference rows explained."""


def explained_references(
    session: Session, run: FinishedRun, methods: Sequence[str]
) -> tuple[ScoredRows, NDArray[np.float64]]:
    """The reference rows, predicted and explained with the run's settings, and the weights of those that have scores.

    Raises BundleError if the bundle has no reference rows.
    """
    bundle: Bundle = session.bundle
    background = References.read(bundle)
    heaviest = np.sort(np.argsort(-background.weights, kind="stable")[:REFERENCE_ROWS])
    choice = run.job.choice
    if choice.label is not None:
        choice = TargetChoice(PREDICTED)
    scorer = Scorer(session, tuple(methods), choice, run.settings.explain_settings, run.reduction(bundle))
    scored = scorer.explain(scorer.predict(CleanBatch.of_matrix(background.rows[heaviest])))
    return scored, background.weights[heaviest][scored.rows.kept]


def reference_attributions(
    session: Session, run: FinishedRun, methods: Sequence[str]
) -> dict[str, ReferenceAttributions]:
    """Explain the reference rows with the run's settings, by method; of cells, the sums by feature.

    A run that explains the class of a label column is compared with the predicted class, because the reference rows
    have no labels. Raises BundleError if the bundle has no reference rows.
    """
    scored, weights = explained_references(session, run, methods)
    by_feature, found = sums_by_feature(run), {}
    for method, attribution in scored.attributions.items():
        finite = attribution.is_finite
        repeats = len(finite) // max(len(weights), 1)
        values = kept_alone(attribution.values[finite], run.settings.top_k).astype(np.float64)
        if len(values):
            values = values if by_feature is None else by_feature.sums(values)
            rows = -(-len(values) // repeats)
            found[method] = ReferenceAttributions(values, weights.repeat(repeats)[finite], rows)
    return found


def kept_alone(values: NDArray[np.floating[Any]], top_k: int | None) -> NDArray[np.floating[Any]]:
    """The attributions [N, F], with 0 for those that a run with `--top-k` does not keep."""
    if top_k is None or not len(values):
        return values
    kept = strongest(values, min(top_k, values.shape[1]))
    zeros = np.zeros_like(values)
    np.put_along_axis(zeros, kept, np.take_along_axis(values, kept, axis=1), axis=1)
    return zeros
