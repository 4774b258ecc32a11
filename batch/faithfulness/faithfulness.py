"""The figures of a finished run's explanations, on a sample of its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from whyport.batch.faithfulness.figures import Figures, relative_l1, spearman, top_overlap
from whyport.batch.faithfulness.measure import BASELINE, NO_REFERENCES, Measured, Measurement
from whyport.batch.faithfulness.sample import draw, predicted_rows, scorer_of
from whyport.batch.methods.baselines import chosen_baseline, offered
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.rows import ScoredRows
from whyport.batch.scoring.scorer import Scorer
from whyport.runtime.arguments import at_least
from whyport.runtime.attribution import Attribution
from whyport.runtime.errors import UsageError, WhyportError
from whyport.runtime.session import Session
from whyport.runtime.store.path import Place

SAMPLE = 50
STRONGEST = 5
"""The strongest shares that two methods may have in common."""

Pairs = dict[str, Figures]
Shares = NDArray[np.float64]


@dataclass
class Soundness:
    """The figures of a run's explanations."""

    run: FinishedRun
    rows: int
    seed: int
    measured: Mapping[str, Measured]
    baselines: dict[str, dict[str, Pairs]] = field(default_factory=dict)
    """By method and baseline: rank correlation and relative L1 with the run's own."""
    agreement: dict[tuple[str, str], Pairs] = field(default_factory=dict)
    """By two methods."""


def measure_soundness(
    out: Place, *, sample: int = SAMPLE, seed: int = 0, bundle: Place | None = None, device: str = "auto"
) -> Soundness:
    """Measure explanations of a finished run on a sample of its explained rows.

    Args:
        out: the run's folder.
        sample: how many rows.
        seed: of all draws.
        bundle: the bundle's path, if it was moved.
        device: "auto", "cpu" or "cuda".

    Raises:
        UsageError: the run explains nothing. JobError: it is not finished.
        AuditError, DataError, BundleError: the bundle or an input is gone, or another one.
    """
    at_least("sample", sample, 1)
    at_least("seed", seed, 0)
    run = FinishedRun.read(out)
    opened = run.open_bundle(bundle)
    if not run.settings.methods or not run.parts:
        raise UsageError(f"expected a run that explains its rows (--explain METHOD), got one that does not, in {out}")
    session = Session(opened, device)
    scorer = scorer_of(run, opened, session)
    places = draw(run, sample, seed)
    found = Soundness(run, places.count, seed, {})
    measurement = Measurement(run.settings.methods, seed)
    found.measured = measurement.found
    others = _other_scorers(run, scorer, session)
    for predicted in predicted_rows(run, opened, scorer, places):
        measurement.add(scorer.explainers_of(predicted))
        scored = scorer.explain(predicted)
        has = _present(run, scored)
        _compare_methods(found, scored, has)
        for name, other in others.items():
            _compare_baselines(found, name, scored, other.explain(predicted), has)
    return found


def _other_scorers(run: FinishedRun, scorer: Scorer, session: Session) -> dict[str, Scorer]:
    """Scorers against the bundle's other baselines; those that the run's settings do not allow are left out."""
    sidecar = session.bundle.sidecar
    chosen = chosen_baseline(run.settings.explain_settings.baseline, sidecar)
    found: dict[str, Scorer] = {}
    for each in offered(sidecar):
        if chosen is not None and each.name != chosen:
            try:
                found[each.name] = scorer_of(run, session.bundle, session, each.name)
            except WhyportError:
                continue
    return found


def _present(run: FinishedRun, scored: ScoredRows) -> NDArray[np.bool_]:
    """Which of the G shares each row has, [M, G]: a short row lacks those beyond its last step, token or segment."""
    positions = run.layout.positions
    steps = scored.steps
    if steps is None:
        steps = positions.steps_of(scored.explained_rows, run.columns.segments.counts(scored.segments))
    return positions.within(steps)


def _pairs(one: Attribution, other: Attribution, has: NDArray[np.bool_]) -> Iterator[tuple[Shares, Shares]]:
    """The shares of each explanation in two, [1, g], where both are finite."""
    width = len(one.values) // max(len(has), 1)
    for e, (a, b) in enumerate(zip(one.values, other.values, strict=True)):
        own = has[e // width]
        if np.isfinite(a).all() and np.isfinite(b).all():
            yield a[own][None].astype(np.float64), b[own][None].astype(np.float64)


def _compare_methods(found: Soundness, scored: ScoredRows, has: NDArray[np.bool_]) -> None:
    for one, other in combinations(scored.attributions, 2):
        own = found.agreement.setdefault((one, other), {"spearman": Figures(), "overlap": Figures()})
        for a, b in _pairs(scored.attributions[one], scored.attributions[other], has):
            own["spearman"].add(spearman(a, b))
            own["overlap"].add(top_overlap(a, b, STRONGEST))


def _compare_baselines(
    found: Soundness, name: str, scored: ScoredRows, again: ScoredRows, has: NDArray[np.bool_]
) -> None:
    for method, attribution in scored.attributions.items():
        if found.measured[method].left_out.get(BASELINE) == NO_REFERENCES:
            continue
        own = found.baselines.setdefault(method, {}).setdefault(
            f"baseline {name}", {"spearman": Figures(), "relative_l1": Figures()}
        )
        for a, b in _pairs(attribution, again.attributions[method], has):
            own["spearman"].add(spearman(a, b))
            own["relative_l1"].add(relative_l1(a, b))
