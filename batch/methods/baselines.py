"""The references of a run, by the name of one of the bundle's baselines: rows, or pictures that are made."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import SEGMENT
from whyport.batch.methods.players import Labels
from whyport.batch.methods.segments.segmenter import segmenter_of
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import row_shape, row_size
from whyport.runtime.bundle.sidecar import SUMMARY_NAME, Baseline, Sidecar
from whyport.runtime.errors import UsageError, listing, unknown

ROWS, ZERO, MEAN, BLUR, SEGMENT_MEAN = "rows", "zero", "mean", "blur", "segment-mean"
SIGMA = "sigma"
"""The figure of a blur: the standard deviation of its Gaussian, in pixels."""


def offered(sidecar: Sidecar) -> tuple[Baseline, ...]:
    """The baselines that a run can name, the default first."""
    return tuple(baseline for baseline in sidecar.baselines if baseline.name != SUMMARY_NAME)


def chosen_baseline(name: str | None, sidecar: Sidecar, per: str | None = None) -> str | None:
    """The name of a run's baseline: the bundle's first, where there is a choice; None where there is none.

    Raises UsageError for a name that the bundle lacks, or one that needs segments where `per` is something else.
    """
    names = [baseline.name for baseline in offered(sidecar)]
    if name is None:
        return names[0] if len(names) > 1 else None
    if name not in names:
        raise UsageError(f"baseline: {unknown('baseline of this bundle', name, names)}")
    found = sidecar.baseline(name)
    if per is not None and found is not None and found.kind == SEGMENT_MEAN and segmenter_of(per) is None:
        raise UsageError(f"baseline: expected per {SEGMENT!r} beside {name!r}, got {per!r}")
    return name


@dataclass(frozen=True)
class ChosenBaseline:
    """What the scores of a run are measured against: the same for all rows, or for each row its own pictures.

    Pictures are made: black, of the mean colour, blurred, or of the mean colour of each segment. The other inputs
    keep the reference rows' values.
    """

    kind: str
    sigma: float
    inputs: tuple[Input, ...]
    background: References
    """The bundle's reference rows."""

    @classmethod
    def of(cls, bundle: Bundle, name: str | None) -> Self:
        """The baseline of a run; raises BundleError where the bundle has no rows, UsageError for an unknown name."""
        sidecar = bundle.sidecar
        found = sidecar.baseline(chosen_baseline(name, sidecar) or "")
        kind, figures = (ROWS, {}) if found is None else (found.kind, found.figures)
        if kind == BLUR and not figures.get(SIGMA, 0) > 0:
            raise UsageError(f"baseline {name!r}: expected its figure {SIGMA!r} above 0, got {listing(figures)}")
        return cls(kind, float(figures.get(SIGMA, 0)), sidecar.inputs, References.read(bundle))

    @property
    def differs_by_row(self) -> bool:
        """Whether each row has references of its own."""
        return self.kind in (BLUR, SEGMENT_MEAN)

    def references(self, row: NDArray[np.float32] | None = None, labels: Labels | None = None) -> References:
        """The references of a row [F]; without one, those of the first reference row, as an example.

        Of equal references one is left.

        Args:
            row: the row.
            labels: the segments of its pictures; without any, each picture is one segment.
        """
        if self.kind not in (ZERO, MEAN, BLUR, SEGMENT_MEAN):
            return self.background
        rows = self.background.rows.copy()
        row = rows[0] if row is None else row
        start = 0
        for each in self.inputs:
            own = slice(start, start + row_size(each))
            if isinstance(each.prepare, ImagePreparation):
                rows[:, own] = self._picture(each, row[own], (labels or {}).get(each.name))
            start = own.stop
        if (rows == rows[0]).all():
            return References(rows[:1], np.ones(1))
        return References(rows, self.background.weights)

    def _picture(
        self, each: Input, pixels: NDArray[np.float32], labels: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        """The picture [H x W x C] that stands for none, of whole numbers as pictures are."""
        height, width, channels = row_shape(each)
        if self.kind == ZERO:
            return np.zeros(height * width * channels, dtype=np.float32)
        if self.kind == MEAN:
            return np.tile(mean_colour(each.columns[0]), height * width)
        if self.kind == SEGMENT_MEAN:
            return means_of_segments(pixels.reshape(-1, channels), labels).ravel()
        return blurred(pixels.reshape(height, width, channels), self.sigma).ravel()


def mean_colour(column: Column) -> NDArray[np.float32]:
    """The mean of each channel of a column of pictures over the training pictures, [C], as whole numbers."""
    means: NDArray[np.float32] = np.rint([channel.numbers.mean for channel in column.channels]).astype(np.float32)
    return means


def means_of_segments(pixels: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float32]:
    """Pixels [H x W, C] each in the mean colour of its segment, as whole numbers; `lime` has it as its default.

    Args:
        pixels: the pixels.
        labels: the segment of each, [H, W]; None for one segment.
    """
    of_pixel = np.zeros(len(pixels), dtype=np.int64) if labels is None else labels.ravel()
    sums = np.stack([np.bincount(of_pixel, weights=channel) for channel in pixels.T], axis=1)
    means = np.rint(sums / np.bincount(of_pixel)[:, None]).astype(np.float32)
    found: NDArray[np.float32] = means[of_pixel]
    return found


def blurred(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A picture [H, W, C] after a Gaussian filter of `sigma` pixels, rounded to whole numbers.

    The weights are cut at 4 sigma. At the edges, what is left of them is scaled to a sum of 1.
    """
    height, width, _ = picture.shape
    along_y = np.tensordot(_gaussian(height, sigma), picture.astype(np.float64), axes=(1, 0))
    along_x = np.tensordot(along_y, _gaussian(width, sigma), axes=(1, 1)).transpose(0, 2, 1)
    rounded: NDArray[np.float32] = np.rint(along_x).astype(np.float32)
    return rounded


@lru_cache(maxsize=8)
def _gaussian(length: int, sigma: float) -> NDArray[np.float64]:
    """The weights [length, length] of every place for every other along one axis; each row has the sum 1."""
    place = np.arange(length)
    apart = np.abs(place[:, None] - place)
    weights = np.where(apart <= math.ceil(4 * sigma), np.exp(-0.5 * (apart / sigma) ** 2), 0.0)
    normalised: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normalised
