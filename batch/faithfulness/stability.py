"""Stability: how far explanations move where rows move a little."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyport.batch.faithfulness.figures import Figures
from whyport.batch.methods.explainer import Explainer
from whyport.batch.methods.request import Request
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.lengths import padding
from whyport.runtime.bundle.row import row_size
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.inputs.feeds import PIXEL

DRAWS = 5
RADIUS = 0.02
"""How far a number moves at most, in its standard deviations over the training rows."""


def radii(sidecar: Sidecar) -> NDArray[np.float32]:
    """How far each number of a row moves at most, [F]; 0 for what has no small changes, as a category."""
    found = np.zeros(len(sidecar.features), dtype=np.float32)
    for i, feature in enumerate(sidecar.features):
        if feature.numbers is not None and feature.categories is None:
            found[i] = RADIUS * feature.numbers.standard_deviation
    found[[length.place for length in sidecar.lengths]] = 0
    for own, _ in _pictures(sidecar):
        found[own] = np.maximum(found[own], 1)
    return found


def moved(sidecar: Sidecar, rows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows [N, F] near these: each number anywhere within its radius, pixels whole, and padding as it is."""
    radius = radii(sidecar)
    change = rng.uniform(-1, 1, rows.shape).astype(np.float32) * radius
    if sidecar.lengths:
        change[padding(sidecar.lengths, rows)] = 0
    near = rows + change
    for own, _ in _pictures(sidecar):
        near[:, own] = np.clip(np.rint(near[:, own]), 0, PIXEL)
    return near


def _pictures(sidecar: Sidecar) -> list[tuple[slice, Input]]:
    found, start = [], 0
    for each in sidecar.inputs:
        stop = start + row_size(each)
        if isinstance(each.prepare, ImagePreparation):
            found.append((slice(start, stop), each))
        start = stop
    return found


@dataclass
class Stability:
    """The largest change of explanations over draws, by their size: max-sensitivity (Yeh et al. 2019)."""

    figures: Figures = field(default_factory=Figures)

    def add(
        self, explainer: Explainer, request: Request, shares: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        """Add the explanations [E, G] of a request."""
        sidecar = explainer.model.bundle.sidecar
        largest = np.zeros(len(shares))
        for _ in range(DRAWS):
            near = moved(sidecar, request.rows, rng)
            again = Request(near, explainer.model.scores(near), request.row, request.target)
            apart = explainer.explain(again).values.astype(np.float64) - shares
            largest = np.maximum(largest, np.linalg.norm(apart, axis=1))
        size = np.linalg.norm(shares, axis=1)
        self.figures.add(np.divide(largest, size, out=np.full(len(size), np.nan), where=size > 0))
