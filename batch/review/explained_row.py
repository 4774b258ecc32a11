"""The explanations of one row as a run has written them, as numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import first_row
from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.positions import Positions
from whyport.batch.output.columns import ExplanationColumns, OutputColumns
from whyport.batch.output.layouts import StoredAttributions
from whyport.batch.review.finished_run import FinishedRun


@dataclass(frozen=True)
class ExplainedRow:
    """One explanation of one row: the shares that the run has kept, in the features' order or strongest first."""

    method: str
    target: str
    score: float
    score_unit: str
    unit: str
    """The unit of the shares."""
    base_value: float | None
    """None where the shares do not add up to the score."""
    completeness_error: float | None
    converged: bool | None
    features: tuple[str, ...]
    """[K]: the name of each share."""
    shares: NDArray[np.float64]
    """[K], in `unit`; NaN where the method's values are not finite."""
    errors: NDArray[np.float64] | None
    """[K]: the shares' standard errors; None if the method gives none."""
    of_row: int | None
    """The number of all the row's shares; None where not known, of rows of varying length with the strongest alone."""
    cells: tuple[NDArray[np.float64], NDArray[np.bool_]] | None
    """[G] each: a share for every position, and whether the row has it; None where the strongest alone were kept."""

    @property
    def is_finite(self) -> bool:
        """Whether it has attributions."""
        return bool(np.isfinite(self.shares).all())

    @property
    def is_complete(self) -> bool:
        """Whether all of the row's shares were kept."""
        return len(self.features) == self.of_row

    @property
    def total(self) -> float:
        """The sum of all shares; where only some were kept, it follows from the score, if they add up to it."""
        if self.is_complete or self.base_value is None:
            return float(self.shares.sum())
        return self.score - self.base_value

    @property
    def strongest(self) -> list[int]:
        """The places of the shares by magnitude, largest first; of equal ones, the first."""
        order: list[int] = np.argsort(-np.abs(self.shares), kind="stable").tolist()
        return order


@dataclass(frozen=True)
class NotExplained:
    """An explanation that the run did not make of a row."""

    method: str


def explanations_of(table: pa.Table, run: FinishedRun) -> Iterator[ExplainedRow | NotExplained]:
    """The explanations of a row, [1] of the output, in the columns' order."""
    values, columns = first_row(table), run.columns_of(table.schema)
    for each in columns.explanations:
        if values[each.score] is None:
            yield NotExplained(each.method)
        else:
            yield _explanation(table, values, each, columns, run)


def _explanation(
    table: pa.Table, values: Mapping[str, Any], each: ExplanationColumns, columns: OutputColumns, run: FinishedRun
) -> ExplainedRow:
    layout, positions = columns.layout, columns.layout.positions
    stored = layout.read(table, each.prefix, each.suffix)
    own = np.ones(stored.values.shape[1], dtype=np.bool_) if stored.has is None else stored.has[0]
    errors = None
    for bar in (extra for extra in columns.extras[each.method] if extra.is_error_bar):
        errors = layout.read_extra(table, each.prefix, each.suffix, bar.name)[0, own]
    target = each.target or values[each.explained_target]
    unit = run.task.unit_of(target)
    return ExplainedRow(
        method=each.method,
        target=target,
        score=values[each.score],
        score_unit=unit,
        unit=find_method(each.method).unit_of(unit),
        base_value=values[each.base_value] if positions.add_up else None,
        completeness_error=values[each.completeness_error],
        converged=values[each.converged],
        features=tuple(layout.features[i] for i in stored.features[0, own]),
        shares=stored.values[0, own],
        errors=errors,
        of_row=_shares_of_row(stored, positions),
        cells=_cells(stored, own, positions),
    )


def _shares_of_row(stored: StoredAttributions, positions: Positions) -> int | None:
    """The number of all the shares of the one row, kept or not; None where it is not known."""
    if stored.has is None:
        return len(positions.names)
    own, kept = int(stored.has.sum()), stored.has.shape[1]
    return own if own < kept or kept == len(positions.names) else None


def _cells(
    stored: StoredAttributions, own: NDArray[np.bool_], positions: Positions
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    if stored.values.shape[1] != len(positions.names):
        return None
    cells, has = np.zeros(len(positions.names)), np.zeros(len(positions.names), dtype=np.bool_)
    cells[stored.features[0]], has[stored.features[0]] = stored.values[0], own
    return cells, has
