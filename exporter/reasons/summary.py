"""A few weighted references that represent the whole background inside explain.onnx."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.cluster import KMeans

from whyport.exporter.deepshap.program import Program
from whyport.exporter.draft import Draft
from whyport.exporter.reasons.budget import pairs_per_pass
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.deepshap import PASS_PAIRS
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import SUMMARY, SUMMARY_NAME, Baseline
from whyport.runtime.task import Task

CANDIDATES = 256
"""How many rows are drawn from a larger background; the fitted references are chosen among them."""
SUM_WEIGHT = 1e3
"""How much more it counts that fitted weights add up to 1 than that they fit."""


class Attributions:
    """Attributions of the predicted class of some rows, pair by pair, in eager PyTorch.

    Args:
        program: of the network.
        rows: finite raw rows [N, F].
        task: what the scores mean.
    """

    def __init__(self, program: Program, rows: NDArray[np.float32], task: Task) -> None:
        self._program = program
        self._rows = rows
        with torch.no_grad():
            self._of_rows = program.activations(torch.from_numpy(rows))
        scores = self._of_rows[0]
        predicted = torch.nn.functional.one_hot(task.predicted(scores), scores.shape[1])
        self._of_scores = predicted.to(torch.float32)[None, :, None, None, :]

    def by_reference(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Against each of these rows [R, F] by itself: [N, R, F]."""
        shares = np.empty((len(self._rows), len(rows), rows.shape[1]), dtype=np.float32)
        for part in batch_slices(len(rows), max(1, pairs_per_pass(self._of_rows, 1) // len(self._rows))):
            with torch.no_grad():
                of_references = self._program.activations(torch.from_numpy(rows[part]))
                shares[:, part] = self._program.shares(self._of_scores, self._of_rows, of_references)[0].numpy()
        return shares

    def against(self, references: References) -> NDArray[np.float64]:
        """Against weighted references: [N, F]."""
        total = np.zeros(self._rows.shape)
        for part in batch_slices(len(references.rows), PASS_PAIRS):
            shares = self.by_reference(references.rows[part])
            total += np.einsum("nrf,r->nf", shares, references.weights[part])
        return total


def summarise(
    program: Program, draft: Draft, samples: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> tuple[References, Baseline]:
    """Choose references in every way, and keep the choice whose attributions are nearest to the whole background's.

    Args:
        program: of the network.
        draft: the background, how many of its rows to choose, and the features, whose spread is the unit of distances.
        samples: finite rows to fit with, and others to measure distances on.

    Returns:
        The references, and how near each choice came.
    """
    references, rows = draft.background(), draft.summary
    if len(references.rows) <= rows:
        return references, _baseline(references, "the whole background", {"the whole background": 0.0})
    fitted, held_out = samples
    spread = np.array([feature.spread or 1.0 for feature in draft.features])
    if draft.encoding is not None:
        spread = np.repeat(spread, [len(cells) for cells in draft.encoding.cells])
    choices = {
        "random rows": _draw(references, rows),
        **_cluster(program, references, spread, rows),
        "fitted rows": _fit(Attributions(program, fitted, draft.task), references, rows),
    }
    attributions = Attributions(program, held_out, draft.task)
    whole = attributions.against(references)
    magnitude = np.abs(whole).sum() or 1.0
    distances = {
        name: float(np.abs(attributions.against(choice) - whole).sum() / magnitude) for name, choice in choices.items()
    }
    best = min(distances, key=distances.__getitem__)
    return choices[best], _baseline(choices[best], best, distances)


def _baseline(references: References, method: str, distances: dict[str, float]) -> Baseline:
    """The description of the references that a method chose."""
    return Baseline(
        name=SUMMARY_NAME,
        kind="rows",
        file=SUMMARY,
        rows=len(references.rows),
        weighted=True,
        method=method,
        figures=distances,
    )


def _draw(references: References, rows: int) -> References:
    """Some rows by chance, with their own weights."""
    order = np.random.default_rng(0).permutation(np.flatnonzero(references.weights))
    return _weighted(references.rows, order[:rows], references.weights[order[:rows]])


def _cluster(program: Program, references: References, spread: NDArray[np.float64], rows: int) -> dict[str, References]:
    """The centres of clusters of standardised cells, and the rows next to them, weighted with their clusters' mass.

    Between categories there is no row, so no centre either.
    """
    with torch.no_grad():
        cells = program.encode(torch.from_numpy(references.rows)).numpy()
    centre = references.weights @ cells.astype(np.float64)
    standardised = (cells - centre) / spread
    rows = min(rows, len(np.unique(cells, axis=0)))
    means = KMeans(rows, n_init=4, random_state=0).fit(standardised, sample_weight=references.weights)
    mass = np.bincount(means.labels_, references.weights, minlength=rows).astype(np.float64)
    distance = np.linalg.norm(standardised[:, None] - means.cluster_centers_, axis=2)
    nearest = distance.argmin(axis=0)
    chosen = {"k-means rows": _weighted(references.rows, nearest, mass)}
    if program.owners is None:
        centres = (means.cluster_centers_ * spread + centre).astype(np.float32)
        chosen["k-means centres"] = _weighted(centres, np.arange(rows), mass)
    return chosen


def _fit(attributions: Attributions, references: References, rows: int) -> References:
    """Rows and weights such that the weighted mean of the attributions against each is that against all.

    Attributions are linear in the weights, so this is a sparse regression with weights that are not negative and add
    up to 1: orthogonal matching pursuit, Pati et al. 1993, with the least squares of Lawson & Hanson 1974.
    """
    candidates = np.random.default_rng(0).permutation(np.flatnonzero(references.weights))[:CANDIDATES]
    shares = attributions.by_reference(references.rows[candidates]).swapaxes(0, 1).reshape(len(candidates), -1)
    wanted = attributions.against(references).reshape(-1)
    scale = np.abs(wanted).mean() or 1.0
    shares, wanted = shares / scale, wanted / scale
    chosen: list[int] = []
    weights, residual = np.zeros(0), wanted
    for _ in range(rows):
        # Of the rest, the row that leaves the least when it takes a part of the weight from the others.
        fit = shares[chosen].T @ weights if chosen else np.zeros_like(wanted)
        direction = shares - fit
        length = np.einsum("rk,rk->r", direction, direction)
        step = (
            np.clip(direction @ residual / np.where(length > 0, length, 1.0), 0, 1) if chosen else np.ones(len(shares))
        )
        left = residual @ residual - 2 * step * (direction @ residual) + step**2 * length
        left[chosen] = np.inf
        chosen.append(int(left.argmin()))
        sums = SUM_WEIGHT * np.sqrt(len(wanted))
        weights, _ = nnls(np.vstack([shares[chosen].T, np.full(len(chosen), sums)]), np.append(wanted, sums))
        weights = weights / weights.sum()
        residual = wanted - shares[chosen].T @ weights
    return _weighted(references.rows, candidates[chosen], weights)


def _weighted(rows: NDArray[np.float32], chosen: NDArray[np.int64], weights: NDArray[np.float64]) -> References:
    """The chosen rows that have weight, each once, in their order."""
    total = np.bincount(chosen, weights, minlength=len(rows)).astype(np.float64)
    kept = np.flatnonzero(total)
    return References(np.ascontiguousarray(rows[kept]), total[kept] / total.sum())
