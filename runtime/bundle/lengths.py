"""Rows of varying length: where a flat row holds its number of steps, and which of its cells are padding.

The cells of such an input are those of its longest row. Behind them stands the row's number of steps; the cells beyond
it are 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Length:
    """The place of one input's number of steps in the flat row, behind the input's cells."""

    name: str
    """The input."""
    place: int
    start: int
    """Where the input's cells begin; they end at `place`."""
    steps: int
    """The most steps of a row."""
    width: int
    """The number of values of a step."""
    buckets: tuple[int, ...]
    """The numbers of steps that rows are padded to, ascending."""
    is_masked: bool
    """Whether the model is told which steps are padding. Otherwise a row has as many steps as one of the buckets."""

    @property
    def cells(self) -> slice:
        """The cells of the input."""
        return slice(self.start, self.place)

    def takes(self, steps: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether rows of so many steps can be scored, for each number of steps."""
        if not self.is_masked:
            return np.isin(steps, self.buckets)
        fits: NDArray[np.bool_] = (steps >= 1) & (steps <= self.steps)
        return fits

    @property
    def usual(self) -> int:
        """The number of steps of the test vectors: every bucket holds it, with padding where there can be some."""
        return max(1, self.buckets[0] * 3 // 4) if self.is_masked else self.steps

    @property
    def expected(self) -> str:
        """The numbers of steps that can be scored, in words."""
        return f"1 to {self.steps}" if self.is_masked else " or ".join(map(str, self.buckets))


def padding(lengths: Sequence[Length], rows: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which cells of rows [N, F] are beyond the row's last step, [N, F]."""
    found = np.zeros(rows.shape, dtype=np.bool_)
    for each in lengths:
        step = np.arange(each.steps).repeat(each.width)
        found[:, each.cells] = step >= rows[:, each.place, None]
    return found


def of_length(
    lengths: Sequence[Length], rows: NDArray[np.float32], steps: Sequence[float] | NDArray[np.float32]
) -> NDArray[np.float32]:
    """The rows [N, F] with so many steps of each input of varying length: cut, or repeated from their first step.

    Args:
        lengths: the inputs.
        rows: rows of any length, of at least one step.
        steps: a number of steps for each of the inputs.
    """
    made = rows.copy()
    for each, wanted in zip(lengths, steps, strict=True):
        own = rows[:, each.cells].reshape(len(rows), each.steps, each.width)
        had = rows[:, each.place].astype(np.int64)
        step = np.arange(each.steps)
        repeated = np.take_along_axis(own, (step % had[:, None])[:, :, None], axis=1)
        repeated[:, step >= wanted] = 0
        made[:, each.cells] = repeated.reshape(len(rows), -1)
        made[:, each.place] = wanted
    return made


def at_most(lengths: Sequence[Length], rows: NDArray[np.float32], most: Sequence[int]) -> NDArray[np.float32]:
    """The rows [N, F] with at most so many steps of each input: longer ones are cut.

    Where the model is not told what is padding, they have just as many: shorter ones are repeated.
    """
    made = rows.copy()
    for each, steps in zip(lengths, most, strict=True):
        if each.is_masked:
            made[:, each.place] = np.minimum(made[:, each.place], steps)
            made[padding([each], made)] = 0
        else:
            made = of_length([each], made, [steps])
    return made


def full_length(lengths: Sequence[Length], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows [N, F] repeated to the most steps that a row can have."""
    return of_length(lengths, rows, [each.steps for each in lengths])


def same_lengths(
    lengths: Sequence[Length], rows: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """The numbers of steps that occur in rows [N, F], ascending, each with the rows that have them, ascending."""
    own = rows[:, [each.place for each in lengths]]
    kinds, kind = np.unique(own, axis=0, return_inverse=True)
    for i, steps in enumerate(kinds):
        yield steps, np.flatnonzero(kind.reshape(-1) == i)
