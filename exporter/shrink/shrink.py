"""Smaller variants of a bundle: made, measured, judged, put into its folder."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.shrink.candidates import make_candidates, time_graphs
from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.judging import Judging
from whyport.exporter.shrink.outcome import Outcome
from whyport.exporter.shrink.written import without, write_tolerances
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import CONFORMANCE, Sidecar
from whyport.runtime.bundle.variants import precisions_of
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.conformance import replay
from whyport.runtime.errors import UsageError
from whyport.runtime.session import Session

logger = logging.getLogger(__name__)

Matrix = NDArray[np.float32]


def add_variants(folder: Path, choice: VariantChoice, rows: Matrix | None = None) -> tuple[Outcome, ...]:
    """Put smaller variants into a bundle's folder, in place of those of the same names.

    Args:
        folder: a copy of a bundle that may be changed; it is of no use where this fails.
        choice: the variants, and what they may cost.
        rows: held-out rows [N, F] to measure with; by default those of the test vectors.

    Returns:
        What became of each graph that was tried.

    Raises:
        UsageError: the bundle is made of trees. ParityError: a variant that was asked for changes too much.
    """
    bundle = Bundle.read(folder)
    check_has_weights(bundle.sidecar)
    bundle = without(bundle, choice.names)
    sample, held_out = References.read(bundle).rows, vector_rows(bundle) if rows is None else rows
    made = []
    for precision in choice.names:
        logger.info("making the variant %s", precision)
        made.append(make_candidates(bundle, precision, sample))
    times = time_graphs(Session(bundle, "cpu", threads=1), made, held_out)
    outcomes: list[Outcome] = []
    for candidates in made:
        judging = Judging(bundle, candidates, choice, times)
        bundle = judging.keep(held_out)
        outcomes += judging.outcomes
    for outcome in outcomes:
        if not outcome.is_kept:
            logger.warning("%s", outcome.line())
    bundle = write_tolerances(bundle)
    for precision in precisions_of(bundle.sidecar):
        replay(Session(bundle_in(bundle, precision), "cpu"))
    return tuple(outcomes)


def check_has_weights(sidecar: Sidecar) -> None:
    """Raise UsageError for a bundle of trees: these have no weights, and are small and fast as they are."""
    if sidecar.graph("trees") is not None:
        got = f"bundle {sidecar.name!r}, which is made of trees: they need no smaller variant"
        raise UsageError(f"variants: expected a network, which has weights, got {got}")


def vector_rows(bundle: Bundle) -> Matrix:
    """The rows of the test vectors, [N, F]: like training rows, and no references."""
    spec = bundle.sidecar.row_spec
    rows: Matrix = read_vectors(bundle.read_bytes(CONFORMANCE), (spec,))[spec.name]
    return rows
