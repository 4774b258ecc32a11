"""What the run's methods attribute to the bundle's reference rows, which its own attributions are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.review.record import RunRecord
from whyport.batch.rows import CleanRows
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.scoring.targets import ClassChoice
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.session import Session

REFERENCE_ROWS = 200
"""Reference rows that are explained at the most, the heaviest ones."""


@dataclass(frozen=True)
class ReferenceAttributions:
    """A method's attributions of the reference rows, of the class or the classes that the run explains."""

    values: NDArray[np.float64]
    """[R, F] or, where every class is explained, [R * C, F]."""
    weights: NDArray[np.float64]
    rows: int
    """How many reference rows were explained."""


def clean_rows(matrix: NDArray[np.float32], imputed_count: NDArray[np.int32] | None = None) -> CleanRows:
    """Rows [N, F] without missing values, as the scorer takes them."""
    every = np.arange(len(matrix))
    counts = np.zeros(len(matrix), dtype=np.int32) if imputed_count is None else imputed_count
    return CleanRows(matrix, every, counts, None, every[:0], [])


def reference_attributions(
    session: Session, record: RunRecord, methods: Sequence[str]
) -> dict[str, ReferenceAttributions]:
    """Explain the reference rows with the run's settings, by method.

    A run that explains the class of a label column is compared with the predicted class: the reference rows have no
    labels. Raises BundleError where the bundle has no reference rows.
    """
    bundle: Bundle = session.bundle
    background = References.read(bundle)
    heaviest = np.sort(np.argsort(-background.weights, kind="stable")[:REFERENCE_ROWS])
    settings = record.job["settings"]
    choice = ClassChoice.parse(settings["explain_class"], bundle.sidecar.classes)
    if choice.label is not None:
        choice = ClassChoice("predicted")
    scorer = Scorer(session, tuple(methods), choice, ExplainSettings(**settings["explain"]))
    rows = clean_rows(background.rows[heaviest])
    scored = scorer.explain(rows, scorer.predict(rows), 0)
    weights = background.weights[heaviest]
    found = {}
    for method, attribution in scored.attributions.items():
        repeats = len(attribution.values) // len(heaviest)
        values = attribution.values.astype(np.float64)
        found[method] = ReferenceAttributions(values, weights.repeat(repeats), len(heaviest))
    return found
