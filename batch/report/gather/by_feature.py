"""The features of a model as training described them: of lists, each over all steps."""

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np

from whyport.batch.methods.per import CELL, FEATURE
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.positions import SUM, Positions
from whyport.batch.methods.reduction import Reduction
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.row import row_size
from whyport.runtime.bundle.sidecar import Sidecar


@dataclass(frozen=True)
class DescribedFeatures:
    """The features, with the numbers of a row that are values of each.

    A feature of lists has one record of training for all steps. Of a column of numbers a step, each has its own.
    """

    columns: tuple[Column, ...]
    places: tuple[tuple[int, ...], ...]
    """The positions of each feature's values in a row: of lists, one a step."""

    @classmethod
    def of(cls, sidecar: Sidecar) -> Self:
        """The features of a bundle."""
        pictures = _channels(sidecar)
        taken = np.zeros(len(sidecar.features), dtype=np.bool_)
        for _, own in pictures:
            taken[list(own)] = True
        cells = Positions.of(sidecar, PlayerMap.of(sidecar, {}, CELL), CELL)
        if not cells.blocks:
            return cls(sidecar.features, tuple((i,) for i in range(len(sidecar.features))))
        reduction = Reduction(cells, FEATURE, SUM)
        places, names = reduction.places, reduction.positions.names
        found: list[tuple[Column, tuple[int, ...]]] = []
        for cells_of_it, name in zip(places, names, strict=True):
            own = tuple(sidecar.shared_places[i] for i in cells_of_it)
            if taken[own[0]]:
                continue
            first, *others = (sidecar.features[i] for i in own)
            if all(other.numbers == first.numbers for other in others):
                found.append((dataclasses.replace(first, name=name), own))
            else:  # a column of numbers a step, each with its own record of training
                found += [(sidecar.features[i], (i,)) for i in own]
        found += pictures
        return cls(tuple(column for column, _ in found), tuple(own for _, own in found))


def _channels(sidecar: Sidecar) -> list[tuple[Column, tuple[int, ...]]]:
    """The channels of each image, each with the places of its pixels: training has one record of a channel."""
    found, start = list[tuple[Column, tuple[int, ...]]](), 0
    for each in sidecar.inputs:
        stop = start + row_size(each)
        if isinstance(each.prepare, ImagePreparation):
            channels = each.columns[0].channels
            for k, channel in enumerate(channels):
                column = dataclasses.replace(sidecar.features[start + k], name=f"{each.name}.{channel.name}")
                found.append((column, tuple(range(start + k, stop, len(channels)))))
        start = stop
    return found


def sums_by_feature(run: FinishedRun) -> Reduction | None:
    """The sums over all steps of a run that has the shares of cells; None for a run of other shares."""
    positions = run.layout.positions
    if positions.per != CELL or not positions.blocks:
        return None
    return Reduction(positions, FEATURE, SUM)
