"""The record of a request: rows, their scores, and the (row, target) pairs to explain."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from whyport.batch.methods.engines.model import Gradients, Model


@dataclass(frozen=True, eq=False)
class Request:
    """M rows, and E of their scores to explain, in row order."""

    rows: NDArray[np.float32]
    """[M, F]: finite raw values, and of categories their codes."""
    scores: NDArray[np.float32]
    """[M, K]: the scores of every target, as model.onnx gives them."""
    row: NDArray[np.int64]
    """[E]: the row of each explanation; ascending, with every row at least once."""
    target: NDArray[np.int64]
    """[E]: the target of each explanation."""
    _cells: "dict[Model, NDArray[np.float32]]" = field(default_factory=dict, repr=False)
    _gradients: "dict[Model, Gradients]" = field(default_factory=dict, repr=False)

    @classmethod
    def of_one_target(cls, rows: NDArray[np.float32], scores: NDArray[np.float32], target: NDArray[np.int64]) -> Self:
        """A request for one target [M] per row."""
        return cls(rows, scores, np.arange(len(rows)), target)

    @classmethod
    def of_targets(cls, rows: NDArray[np.float32], scores: NDArray[np.float32], targets: NDArray[np.int64]) -> Self:
        """A request for E targets of each row, [M, E], in their order."""
        return cls(rows, scores, np.arange(len(rows)).repeat(targets.shape[1]), targets.reshape(-1))

    @classmethod
    def of_every_target(cls, rows: NDArray[np.float32], scores: NDArray[np.float32]) -> Self:
        """A request for all K targets of each row, in order."""
        count = scores.shape[1]
        return cls(rows, scores, np.arange(len(rows)).repeat(count), np.tile(np.arange(count), len(rows)))

    def __len__(self) -> int:
        return len(self.target)

    @property
    def width(self) -> int:
        """The largest number of explanations of any row."""
        return int(np.bincount(self.row).max(initial=1))

    @property
    def repeated_rows(self) -> NDArray[np.float32]:
        """The row of every explanation, [E, F]."""
        # Every row occurs at least once: with as many explanations as rows, each row occurs once.
        return self.rows if len(self.row) == len(self.rows) else self.rows[self.row]

    @property
    def output(self) -> NDArray[np.float64]:
        """The score that is explained, [E]."""
        output: NDArray[np.float64] = self.scores[self.row, self.target].astype(np.float64)
        return output

    def cells(self, model: "Model") -> NDArray[np.float32]:
        """The cells of every explanation's row, [E, P], computed once for all methods that ask for them."""
        if model not in self._cells:
            self._cells[model] = model.cells(self.repeated_rows)
        return self._cells[model]

    def gradients(self, model: "Model") -> "Gradients":
        """The gradients of the explained scores at the cells, computed once for all methods that ask for them."""
        if model not in self._gradients:
            self._gradients[model] = model.gradients(self.cells(model), self.target)
        return self._gradients[model]

    def take(self, rows: slice) -> "Request":
        """The request for some of the rows, with all of their explanations."""
        if rows == slice(0, len(self.rows)):
            return self
        inside = slice(*np.searchsorted(self.row, [rows.start, rows.stop]))
        return Request(self.rows[rows], self.scores[rows], self.row[inside] - rows.start, self.target[inside])

    def only(self, explanations: NDArray[np.int64]) -> "Request":
        """The request for some of the explanations, in ascending order, with the rows that they need."""
        rows, row = np.unique(self.row[explanations], return_inverse=True)
        return Request(self.rows[rows], self.scores[rows], row, self.target[explanations])
