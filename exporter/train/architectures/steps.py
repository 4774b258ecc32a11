"""The cells of a flat row as steps, and those of a table beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whyport.runtime.errors import TrainingError


@final
@dataclass(frozen=True)
class RowPlaces:
    """Where the cells of sequences and tables stand in a flat row."""

    steps: NDArray[np.int64]
    """[T, features]: the cells of each step, of all sequences."""
    columns: NDArray[np.int64]
    """[C]: the cells of all tables."""

    @classmethod
    def of(cls, features: int, shapes: Sequence[Sequence[int]]) -> Self:
        """The places in rows of these inputs; one table alone is read as a sequence with a step a column.

        Args:
            features: the number of cells of a row.
            shapes: the shape of each input's row, [T, features] or [C]; empty for one table.

        Raises:
            TrainingError: sequences of different lengths.
        """
        every = np.arange(features)
        ends = np.cumsum([np.prod(shape) for shape in shapes], dtype=np.int64)
        parts = [part.reshape(shape) for part, shape in zip(np.split(every, ends[:-1]), shapes, strict=False)]
        sequences = [part for part in parts if part.ndim == 2]
        lengths = [len(part) for part in sequences]
        if len(set(lengths)) > 1:
            raise TrainingError(f"expected sequences of as many steps, got {' and '.join(map(str, lengths))}")
        if not sequences:
            return cls(every[:, None], every[:0])
        tables = [part for part in parts if part.ndim == 1]
        return cls(np.concatenate(sequences, axis=1), np.concatenate([every[:0], *tables]))

    @property
    def repeated(self) -> NDArray[np.int64]:
        """[T, features + C]: the cells of each step, those of the tables beside every one."""
        return np.concatenate([self.steps, np.tile(self.columns, (len(self.steps), 1))], axis=1)


@final
class TakeCells(nn.Module):
    """Chosen cells of flat rows.

    Args:
        places: where they stand, in the shape that they are given.
        features: P, the number of cells of a row.
    """

    places: Tensor

    def __init__(self, places: NDArray[np.int64], features: int) -> None:
        super().__init__()
        self.shape = [-1, *places.shape]
        self.are_all = np.array_equal(places.reshape(-1), np.arange(features))
        self.register_buffer("places", torch.from_numpy(places.reshape(-1).copy()), persistent=False)

    def forward(self, cells: Tensor) -> Tensor:
        """[N, P] to [N, ...]."""
        chosen = cells if self.are_all else torch.index_select(cells, 1, self.places)
        return chosen.reshape(self.shape)
