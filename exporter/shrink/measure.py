"""The figures of a smaller variant: what it costs in accuracy and in reasons, on held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.shrink.drift import changed_rows, rank_correlation, relative_drift
from whyport.exporter.shrink.occlusion import occlusion, plain_reference
from whyport.runtime.attribution import within_rounding
from whyport.runtime.bundle.class_maps import CAM, cam_graph
from whyport.runtime.bundle.embedded import EMBEDDED, has_texts
from whyport.runtime.bundle.graphs import ATTRIBUTION, BASE_VALUE, GRADIENT, KINDS, reasons_graphs
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL
from whyport.runtime.parity import deviation, map_deviation, share_deviation
from whyport.runtime.session import Session

MOST_EXPLAINED = 64
"""The most rows that are explained."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Cost:
    """What one graph of a variant costs."""

    kind: str
    variant: str | None
    """The graph's variant in full size."""
    figures: dict[str, float]
    """Measurements, as the sidecar has them."""
    deviations: dict[str, float]
    """The largest deviations, in the terms of the sidecar's tolerances."""


def measure(full: Session, small: Session, rows: Matrix) -> Iterator[Cost]:
    """Compare a variant with the bundle in full size, graph by graph.

    Args:
        full: the bundle's session.
        small: the session of the variant.
        rows: rows that were held out, [N, F].
    """
    task = full.task
    own, its = (session.run(rows) for session in (full, small))
    expected, got = own[task.score], its[task.score]
    few = rows[:MOST_EXPLAINED]
    targets = np.maximum(np.asarray(task.predicted(expected[: len(few)]), dtype=np.int64), 0)
    reference = plain_reference(full)
    without = [occlusion(session, few, targets, reference) for session in (small, full)]
    figures = {
        "rows": float(len(rows)),
        "score_deviation": deviation(got, expected),
        "changed": changed_rows(task, got, expected) / len(rows),
        "occlusion_drift": relative_drift(*without),
        "occlusion_rank_correlation": rank_correlation(*without),
    }
    yield Cost("predict", None, figures, {"outputs": max(deviation(its[name], own[name]) for name in own)})
    explained = Explained(few, targets, got[np.arange(len(few)), targets].astype(np.float64))
    yield from explained.costs(full, small)
    if cam_graph(full.bundle.sidecar) is not None:
        maps, of_full = (session.class_maps(few) for session in (small, full))
        moved = {"maps": map_deviation(maps[CAM], of_full[CAM])}
        moved["outputs"] = max(deviation(maps[name], of_full[name]) for name in maps if name != CAM)
        yield Cost(CAM, None, {"drift": relative_drift(maps[CAM], of_full[CAM])}, moved)


@dataclass(frozen=True)
class Explained:
    """Rows whose reasons are compared."""

    rows: Matrix
    """[N, F]"""
    targets: NDArray[np.int64]
    """The target that is explained of each, [N]: the one that the model in full size predicts."""
    scores: NDArray[np.float64]
    """What the variant's model gives for it, [N]."""

    def costs(self, full: Session, small: Session) -> Iterator[Cost]:
        """The costs of the graphs that explain."""
        texts = has_texts(full.bundle.sidecar.inputs)
        sessions, rows = [full, small], [self.rows, self.rows]
        if texts:
            views = [each.embedding for each in (full, small)]
            if None in views:
                return
            sessions = [each.session for each in views if each is not None]
            rows = [each.rows(self.rows) for each in views if each is not None]
        for file in reasons_graphs(sessions[0].bundle.sidecar):
            outputs = [each.run_graph(file, own, self.targets) for each, own in zip(sessions, rows, strict=True)]
            cost = self._of_shares(outputs) if file == EXPLAIN_MODEL else _of_gradients(sessions[0], outputs)
            yield Cost(KINDS[file], EMBEDDED if texts else None, *cost)

    def _of_shares(self, outputs: list[dict[str, Matrix]]) -> tuple[dict[str, float], dict[str, float]]:
        """Figures and deviations of attributions, of full size and smaller."""
        full, small = outputs
        own, its = full[ATTRIBUTION], small[ATTRIBUTION]
        base = small[BASE_VALUE.name].astype(np.float64)
        error = np.abs(base + its.sum(axis=1, dtype=np.float64) - self.scores)
        error /= within_rounding(1, self.scores, base)
        figures = {
            "drift": relative_drift(its, own),
            "rank_correlation": rank_correlation(its, own),
            "completeness_error": float(error.max(initial=0)),
        }
        others = [name for name in full if name not in (ATTRIBUTION, "completeness_error", "explained_target")]
        outputs_off = max(deviation(small[name], full[name]) for name in others)
        found = {"attributions": share_deviation(its, own), "completeness": figures["completeness_error"]}
        return figures, {**found, "outputs": outputs_off}


def _of_gradients(session: Session, outputs: list[dict[str, Matrix]]) -> tuple[dict[str, float], dict[str, float]]:
    """Figures and deviations of gradients, each in units of the score per training standard deviation."""
    spread = np.array([column.spread for column in session.bundle.sidecar.features])
    own, its = (each[GRADIENT] * spread for each in outputs)
    figures = {"drift": relative_drift(its, own), "rank_correlation": rank_correlation(its, own)}
    return figures, {"gradients": share_deviation(its, own)}
