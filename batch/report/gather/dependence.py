"""How a score depends on one column, the others as they are: partial dependence, and the curve of every row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.gather.by_category import MOST_CATEGORIES, commonest
from whyport.batch.report.gather.collect import Collected, pooled_magnitude
from whyport.batch.report.gather.columns import category_names
from whyport.batch.report.gather.values import FeatureValues
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.lengths import padding
from whyport.runtime.session import Session

ROWS = 200
"""The rows that have curves."""
GRID = 20
"""The most values of a column that the scores are computed at."""
FEATURES = 6
"""The columns that are looked at."""
TARGETS = 4
"""The targets whose scores are looked at."""
TAILS = 0.01
"""The share of a number's values beyond each end of its grid."""


@dataclass(frozen=True)
class Grid:
    """The values of one column that the scores are computed at."""

    column: Column
    position: int
    """The column's position in a row."""
    values: NDArray[np.float32]
    """[G]: ascending; of categories codes, the commonest first."""

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the categories; None for a number."""
        if self.column.categories is None:
            return None
        names = category_names(self.column.categories)
        return tuple(names[int(code)] for code in self.values)


@dataclass(frozen=True)
class Dependence:
    """The scores of n rows in which one column is set to each of its grid's values.

    The mean over the rows is the partial dependence of Friedman 2001, doi:10.1214/aos/1013203451. A row's scores are
    its curve of individual conditional expectation: Goldstein et al. 2015, doi:10.1080/10618600.2014.907095.
    """

    grid: Grid
    targets: tuple[str, ...]
    """The T targets whose scores these are."""
    scores: NDArray[np.float64]
    """[n, G, T], in the task's unit."""
    own: NDArray[np.float64]
    """[n, T]: the scores of the rows as they are."""
    found: NDArray[np.float64]
    """[n]: the rows' own values of the column; NaN where one is missing."""

    def curves(self, target: str) -> NDArray[np.float64]:
        """The curves [n, G] of one target."""
        return self.scores[:, :, self.targets.index(target)]

    def mean(self, target: str) -> NDArray[np.float64]:
        """The partial dependence [G] of one target."""
        means: NDArray[np.float64] = self.curves(target).mean(axis=0)
        return means

    def level(self, target: str) -> float:
        """The mean score of the rows as they are."""
        return float(self.own[:, self.targets.index(target)].mean())

    def shares(self) -> NDArray[np.float64]:
        """The share of the rows that have each of the grid's values, [G]."""
        shares: NDArray[np.float64] = (self.found[:, None] == self.grid.values).mean(axis=0)
        return shares


def grid_of(column: Column, position: int, found: NDArray[np.floating]) -> Grid:
    """The grid of a column whose values are found in some rows, [n]."""
    if column.categories is None:
        return Grid(column, position, number_values(found))
    codes = commonest(found[np.isfinite(found)])
    return Grid(column, position, codes[:MOST_CATEGORIES].astype(np.float32))


def number_values(found: NDArray[np.floating]) -> NDArray[np.float32]:
    """The grid of a number: its distinct values where these are few, otherwise quantiles; empty without a value."""
    finite = found[np.isfinite(found)].astype(np.float32)
    distinct = np.unique(finite)
    if len(distinct) <= GRID:
        return distinct
    # Values that occur: between those of a column that jumps, the model may never have seen any.
    return np.unique(np.quantile(finite, np.linspace(TAILS, 1 - TAILS, GRID), method="nearest"))


def dependence(session: Session, rows: NDArray[np.float32], grid: Grid, targets: Sequence[str]) -> Dependence | None:
    """Compute the scores of rows [n, F] over a grid, with (G + 1) calls of n rows each.

    Rows of which a score is not finite are left out. None without rows or values.
    """
    columns = [session.task.targets.index(target) for target in targets]

    def scores(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        name = session.task.score
        return session.run(matrix, [name])[name][:, columns].astype(np.float64)

    if not len(rows) or not len(grid.values):
        return None
    own, changed, over = scores(rows), rows.copy(), []
    for value in grid.values:
        changed[:, grid.position] = value
        over.append(scores(changed))
    found = np.stack(over, axis=1)
    finite = np.isfinite(found).all(axis=(1, 2)) & np.isfinite(own).all(axis=1)
    if not finite.any():
        return None
    values = rows[finite, grid.position].astype(np.float64)
    return Dependence(grid, tuple(targets), found[finite], own[finite], values)


def dependences(
    session: Session, collected: Collected, values: FeatureValues, names: Sequence[str]
) -> tuple[Dependence, ...]:
    """How the scores depend on the strongest columns of the first method; empty where the run explained nothing.

    Those of classes are the strongest over all of them; those of a quantity are its own. The strongest comes first.

    Args:
        session: the model.
        collected: the attributions, and the rows to ask for.
        values: the values of these rows.
        names: the names of the attributions, in order.
    """
    if not collected.attributions or not collected.scored:
        return ()
    known = values.known(collected.scored)
    rows = values.rows({name: column[known][:ROWS] for name, column in collected.scored.items()})
    matrix = np.where(np.isfinite(rows), rows, np.nan).astype(np.float32)
    method = collected.attributions[0].method
    explained = [each for each in collected.attributions if each.method == method]
    shown = sorted(explained, key=lambda each: -each.rows)[:TARGETS]
    # Quantities have units of their own, in which the shares of one cannot be ranked beside another's.
    groups = [(explained, shown)] if session.task.predicts_targets else [([each], [each]) for each in shown]
    columns = session.bundle.sidecar.features
    place = {column.name: j for j, column in enumerate(columns)}
    found = []
    for ranked_by, of in groups:
        ranked = [names[i] for i in np.argsort(-pooled_magnitude(ranked_by), kind="stable")]
        for j in [place[name] for name in ranked if name in place][:FEATURES]:
            own = matrix[~padding(values.lengths, matrix)[:, j]]  # the rows that have the step
            grid = grid_of(columns[j], j, own[:, j])
            found.append(dependence(session, own, grid, [each.target for each in of]))
    return tuple(each for each in found if each is not None)
