"""The numbers of steps of rows of varying length, counted."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.lengths import Length

QUANTILES = (0.25, 0.5, 0.75)


class StepCounts:
    """Counts rows by their number of steps, for each input of varying length.

    Args:
        lengths: where rows have their number of steps.
    """

    def __init__(self, lengths: Sequence[Length]) -> None:
        self._lengths = lengths
        self.counts = [np.zeros(each.steps + 1, dtype=np.int64) for each in lengths]
        """[T + 1] for each input: how many rows have 0 to T steps."""

    def add(self, rows: NDArray[np.floating]) -> None:
        """Count rows [N, F]; a row without a number of steps is none that can be scored, and is not counted."""
        for each, counts in zip(self._lengths, self.counts, strict=True):
            steps = rows[:, each.place]
            counts += np.bincount(steps[np.isfinite(steps)].astype(np.int64), minlength=len(counts))

    def lines(self) -> Iterator[tuple[str, ...]]:
        """The input's name, and of its rows' steps the fewest, three quartiles, the most, and the mean."""
        for each, counts in zip(self._lengths, self.counts, strict=True):
            rows = int(counts.sum())
            if rows:
                steps = np.flatnonzero(counts)
                below = counts.cumsum()
                quartiles = [int(np.searchsorted(below, share * rows)) for share in QUANTILES]
                mean = counts @ np.arange(len(counts)) / rows
                numbers = [steps[0], *quartiles, steps[-1]]
                yield each.name, f"{rows:,}", *(f"{number}" for number in numbers), f"{mean:.1f}"
