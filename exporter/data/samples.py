"""Rows drawn from the training rows: to compare engines on, to measure attributions against, to replay elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import IMAGE, REFUSE, TOKEN, Column
from whyport.runtime.bundle.lengths import Length, padding

CONFORMANCE_ROWS = 64

PROBE_VALUES, CONFORMANCE_VALUES = 1 << 21, 1 << 19
"""The most numbers in the rows that engines are compared on, and in the test vectors: of long rows, there are fewer."""
EXPLAINED_VALUES = 1 << 17
"""The most shares of pictures, in all targets, that engines are compared on: each comes by way of a deep network."""
FEWEST_ROWS = 4

# Streams of random numbers that do not depend on each other.
TRACE, PROBE, BACKGROUND, CONFORMANCE, FITTED, HELD_OUT = range(6)


@dataclass(frozen=True)
class Samples:
    """Rows like the training rows; each sample is drawn once."""

    rows: NDArray[np.float32]
    """Training rows that the graphs can take, [N, F], in the features' own units."""
    seed: int
    missing: bool
    """Whether some drawn values are missing."""
    columns: tuple[Column, ...] = ()
    """What the rows' values are; without it, they are numbers."""
    lengths: tuple[Length, ...] = ()
    """Where a row says how many steps its lists have, if that varies."""
    kept: NDArray[np.float32] | None = None
    """The rows [M, F] that test vectors are drawn from, which a bundle keeps; None for the training rows."""
    _drawn: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)

    def draw(self, count: int, stream: int) -> NDArray[np.float32]:
        """A sample [count, F] of a stream, see `draw_probes`; it is shared, and not to be changed."""
        if (count, stream) not in self._drawn:
            rows = self.kept if stream == CONFORMANCE and self.kept is not None else self.rows
            self._drawn[count, stream] = draw_probes(
                rows,
                count,
                (self.seed, stream),
                missing=self.missing,
                columns=self.columns,
                lengths=self.lengths,
            )
        return self._drawn[count, stream]


def affordable(count: int, width: int, values: int) -> int:
    """The number of rows of a width that have at most so many values; at most `count`, and at least a few."""
    return min(count, max(FEWEST_ROWS, values // max(width, 1)))


def draw_probes(
    rows: NDArray[np.float32],
    count: int,
    seed: tuple[int, int],
    *,
    missing: bool,
    columns: Sequence[Column] = (),
    lengths: Sequence[Length] = (),
) -> NDArray[np.float32]:
    """Rows that are like the training rows and are none of them.

    Every second one is a training row. The others are between two training rows, each feature at its own point, so that
    nothing leaves the range the model knows; of a category or token, they have that of one row or the
    other. Pixels are whole numbers.

    Args:
        rows: training rows [N, F].
        count: how many to draw.
        seed: the bundle's seed and the stream.
        missing: whether some values of every fourth row are replaced by NaN, where the column does not refuse them.
        columns: the columns; in every fourth row, some categories are missing, and others are none that is known.
        lengths: a row has the number of steps of one training row; between two are only the steps that both have.

    Returns:
        [count, F] float32.
    """
    rng = np.random.default_rng(seed)
    first, second = (rows[rng.integers(len(rows), size=count)].astype(np.float64) for _ in range(2))
    share = rng.random(first.shape)
    share[::2] = 0
    categories = {j: column.categories for j, column in enumerate(columns) if column.categories is not None}
    coded = [*categories, *(j for j, column in enumerate(columns) if column.kind == TOKEN)]
    share[:, coded] = share[:, coded].round()
    share[padding(lengths, first) | padding(lengths, second)] = 0
    share[:, [each.place for each in lengths]] = 0
    drawn = (first + share * (second - first)).astype(np.float32)
    pixels = np.array([column.kind == IMAGE for column in columns], dtype=np.bool_)
    if pixels.any():
        drawn[:, pixels] = np.rint(drawn[:, pixels])
    if missing or categories:
        holes = rng.random(drawn.shape) < 0.2
        holes[np.arange(count) % 4 != 3] = False
        refused = [j for j, column in enumerate(columns) if column.missing == REFUSE]
        numbers = np.setdiff1d(np.arange(drawn.shape[1]), [*coded, *refused])
        if missing:
            drawn[:, numbers] = np.where(holes[:, numbers], np.nan, drawn[:, numbers])
        for j, known in categories.items():
            absent = rng.choice([known.other_code, known.missing_code], size=count)
            drawn[:, j] = np.where(holes[:, j], absent, drawn[:, j])
    return drawn


def draw_background(rows: NDArray[np.float32], count: int, seed: tuple[int, int]) -> NDArray[np.float32]:
    """Up to `count` different rows of [N, F], in their order."""
    rng = np.random.default_rng(seed)
    return rows[np.sort(rng.permutation(len(rows))[:count])]
