"""Columns of categories inside the graphs: from a row of codes to the cells that a network takes.

A number is one cell, as it is. A category is the row of its column's table: one-hot for few categories, an embedding
for many, which is trained. A code that no training row had has the mean of the others, weighted by their counts.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from whyport.runtime.bundle.columns import Categories, Column

ONE_HOT = 16
"""The most codes of a column that have a cell each; more share the cells of an embedding."""


def embedding_width(codes: int) -> int:
    """The number of an embedding's cells, from 8 for 17 codes up to 16: fastai's rule of thumb, bounded."""
    return min(ONE_HOT, math.ceil(1.6 * math.pow(codes, 0.56)))


class Part(nn.Module, ABC):
    """Neighbouring columns of a row.

    Args:
        widths: how many cells each column has.
    """

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.widths = widths

    @abstractmethod
    def compiled(self) -> "Part":
        """The same without anything that is trained, for the graphs."""


@final
class Numbers(Part):
    """Columns of numbers, each of which is its own cell.

    Args:
        start: the first column.
        stop: the column after the last.
    """

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(*[1] * (stop - start))
        self.start, self.stop = start, stop

    def forward(self, rows: Tensor) -> Tensor:
        """Their cells [N, stop - start] of rows [N, F]."""
        return rows[:, self.start : self.stop]

    def compiled(self) -> Part:
        return self


@final
class TrainedTable(Part):
    """One column's table while it is trained: a row for each code that training rows have, and their mean.

    Args:
        column: the position of the column.
        categories: its categories with their counts.
    """

    place: Tensor
    share: Tensor
    known: Tensor

    def __init__(self, column: int, categories: Categories) -> None:
        counts = np.array([*categories.counts, categories.other, categories.missing], dtype=np.float64)
        present = np.flatnonzero(counts)
        place = np.full(len(counts), len(present))
        place[present] = np.arange(len(present))
        super().__init__(len(present) if len(present) <= ONE_HOT else embedding_width(len(present)))
        self.column = column
        self.register_buffer("place", torch.from_numpy(place))
        self.register_buffer("share", torch.from_numpy(counts[present] / counts.sum()).float())
        if len(present) <= ONE_HOT:
            self.register_buffer("known", torch.eye(len(present)))
        else:
            self.known = nn.Parameter(torch.randn(len(present), *self.widths))

    def table(self) -> Tensor:
        """The cells of every code, [codes, width]."""
        return torch.cat([self.known, (self.share @ self.known).unsqueeze(0)])[self.place]

    def forward(self, rows: Tensor) -> Tensor:
        """The column's cells [N, width] of rows [N, F]."""
        return self.table().index_select(0, rows[:, self.column].long())

    def compiled(self) -> Part:
        return Table(self.column, self.table().detach().clone())


@final
class Table(Part):
    """One column's table.

    Args:
        column: the position of the column.
        table: the cells of every code, [codes, width].
    """

    table: Tensor

    def __init__(self, column: int, table: Tensor) -> None:
        super().__init__(table.shape[1])
        self.column = column
        self.register_buffer("table", table)

    def forward(self, rows: Tensor) -> Tensor:
        """The column's cells [N, width] of rows [N, F]."""
        return self.table.index_select(0, rows[:, self.column].long())

    def compiled(self) -> Part:
        return self


@final
class EncodeCategories(nn.Module):
    """Rows of codes [N, F] to cells [N, P], column by column.

    Args:
        parts: `Numbers` and tables, in the order of the columns.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        widths = [width for part in parts for width in part.widths]
        self.width = sum(widths)
        self.cells = tuple(tuple(range(start, stop)) for start, stop in pairwise(accumulate(widths, initial=0)))

    def forward(self, rows: Tensor) -> Tensor:
        """[N, F] float32 to [N, P]; fails where a code is none of its column's."""
        return torch.cat([part(rows) for part in self.parts], dim=1)

    def compiled(self) -> "EncodeCategories":
        """The same with its tables as they are now, for the graphs."""
        return EncodeCategories([part.compiled() for part in self.parts])  # type: ignore[operator]


def encoding_of(model: nn.Module) -> EncodeCategories | None:
    """The child `encode` of a trained model; None where it has none."""
    found = dict(model.named_children()).get("encode")
    return found if isinstance(found, EncodeCategories) else None


def build_encoding(columns: Sequence[Column]) -> EncodeCategories | None:
    """The encoding to train a network behind; None without categories, where the cells are the rows themselves."""
    parts: list[Part] = []
    for is_number, group in groupby(enumerate(columns), key=lambda place: place[1].categories is None):
        places = list(group)
        if is_number:
            parts.append(Numbers(places[0][0], places[-1][0] + 1))
        else:
            parts += [TrainedTable(i, column.categories) for i, column in places if column.categories]
    return EncodeCategories(parts) if any(column.categories for column in columns) else None
