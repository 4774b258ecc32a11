"""The cells that trees are grown on: of a number the number itself, of a category what tables give for its code."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.graphs.categories import ONE_HOT
from whyport.runtime.bundle.columns import Categories, Column
from whyport.runtime.bundle.trees import NUMBER, Trees

FOLDS = 5
"""The parts that training rows are dealt into, so that each is encoded by the outcomes of the others."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell of a row."""

    column: int
    """The position of its column."""
    table: Floats | None = None
    """The cell by the category's code; None where it is the column's number."""
    imputation: float | None = None
    """The value that replaces a missing number; None where none does."""

    def of(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The cell [N] of rows [N, F]; a number keeps the rows' precision."""
        values = rows[:, self.column]
        if self.table is not None:
            return self.table[values.astype(np.int64)]
        return values if self.imputation is None else np.where(np.isnan(values), np.float32(self.imputation), values)


@dataclass(frozen=True)
class Cells:
    """The cells of a row, column by column."""

    each: tuple[Cell, ...]

    def of(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The cells [N, P] of rows [N, F]."""
        return np.stack([cell.of(rows) for cell in self.each], axis=1)

    def over_rows(self, trees: Trees) -> Trees:
        """Trees over cells as trees over the rows: with the cells' tables, and a side for each missing number."""
        used = [self.each[j] for j in trees.columns]
        sizes = [0 if cell.table is None else len(cell.table) for cell in used]
        starts = np.cumsum([0, *sizes])[:-1]
        has_table = np.array(sizes, dtype=bool)
        fills = np.array([np.nan if cell.imputation is None else cell.imputation for cell in used], dtype=np.float32)
        fill = np.append(fills, np.float32(np.nan))[trees.cell]  # of a leaf's -1 the last
        imputed = ~np.isnan(fill)
        return replace(
            trees,
            missing_left=np.where(imputed, fill <= trees.threshold, trees.missing_left),
            columns=np.array([cell.column for cell in used], dtype=np.int32),
            encoding=np.where(has_table, starts, NUMBER).astype(np.int32),
            tables=np.concatenate([np.zeros(0, np.float32), *(c.table for c in used if c.table is not None)]),
        )


def make_cells(
    columns: Sequence[Column], rows: Floats, outcomes: NDArray[np.float64], seed: int
) -> tuple[Cells, Floats]:
    """The cells of a table's columns, and those [N, P] of its training rows.

    Up to 16 codes of a category that training rows have are a cell each, 1 or 0. Of more, there is a cell an outcome:
    its smoothed mean over the training rows of that category. A training row has the mean of the other folds, so that
    its own outcome is not in it (Micci-Barreca 2001, as scikit-learn's `TargetEncoder` has it). Codes without training
    rows have the mean over all rows.

    Args:
        columns: the columns.
        rows: the training rows [N, F].
        outcomes: what is predicted of them, [N, O]: each quantity, or whether a row is of a class.
        seed: deals the folds.
    """
    made: list[Cell] = []
    trained: list[Floats] = []

    def add(cell: Cell, values: Floats | None = None) -> None:
        made.append(cell)
        trained.append(cell.of(rows) if values is None else values)

    for j, column in enumerate(columns):
        if column.categories is None:
            add(Cell(j, imputation=column.imputation))
        elif len(present := _present(column.categories)) <= ONE_HOT:
            for code in present:
                add(Cell(j, np.eye(column.categories.codes, dtype=np.float32)[code]))
        else:
            for outcome in outcomes.T:
                table, values = _means(rows[:, j], column.categories.codes, outcome, seed)
                add(Cell(j, table), values)
    return Cells(tuple(made)), np.stack(trained, axis=1)


def _present(categories: Categories) -> list[int]:
    counts = (*categories.counts, categories.other, categories.missing)
    return [code for code, rows in enumerate(counts) if rows]


def _means(codes: Floats, known: int, outcome: NDArray[np.float64], seed: int) -> tuple[Floats, Floats]:
    """The smoothed mean of an outcome by code, [known], and of the training rows [N] by the other folds."""
    places = codes.astype(np.int64)
    fold = np.random.default_rng(seed).permutation(len(places)) % FOLDS
    values = np.empty(len(places), dtype=np.float32)
    for each in range(FOLDS):
        others = fold != each
        values[~others] = _smoothed(places[others], known, outcome[others])[places[~others]]
    return _smoothed(places, known, outcome), values


def _smoothed(codes: NDArray[np.int64], known: int, outcome: NDArray[np.float64]) -> Floats:
    """The mean of each code's outcomes, drawn to the mean of all the more, the fewer and the more scattered they are.

    With n outcomes of variance s², and a variance t² of all outcomes, it weighs n / (n + s² / t²).
    """
    rows = np.bincount(codes, minlength=known)
    counts = np.maximum(rows, 1)
    mean, variance = outcome.mean(), outcome.var()
    means = np.bincount(codes, outcome, minlength=known) / counts
    scatter = np.bincount(codes, (outcome - means[codes]) ** 2, minlength=known) / counts
    weight = rows / (counts + scatter / variance) if variance else np.zeros(known)
    smoothed: Floats = (weight * means + (1 - weight) * mean).astype(np.float32)
    return smoothed
