"""The features of a model as training described them: of a sequence, each over all its steps."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.positions import CELL, FEATURE, SUM, Positions
from whyport.batch.methods.reduction import Reduction
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.sidecar import Sidecar


@dataclass(frozen=True)
class DescribedFeatures:
    """The features, with the numbers of a row that are values of each."""

    columns: tuple[Column, ...]
    places: tuple[tuple[int, ...], ...]
    """The positions of each feature's values in a row: of a sequence, one a step."""

    @classmethod
    def of(cls, sidecar: Sidecar) -> Self:
        """The features of a bundle."""
        cells = Positions.of(sidecar, PlayerMap.of(sidecar, {}))
        if not cells.blocks:
            return cls(sidecar.features, tuple((i,) for i in range(len(sidecar.features))))
        reduction = Reduction(cells, FEATURE, SUM)
        places, names = reduction.places, reduction.positions.names
        columns = (
            dataclasses.replace(sidecar.features[own[0]], name=name) for own, name in zip(places, names, strict=True)
        )
        return cls(tuple(columns), places)


def sums_by_feature(run: FinishedRun) -> Reduction | None:
    """The sums over all steps of a run that has the shares of cells; None for a run of other shares."""
    positions = run.layout.positions
    if positions.per != CELL or not positions.blocks:
        return None
    return Reduction(positions, FEATURE, SUM)
