"""The shares of a run's explanations as numbers by name: of sequences by feature, of texts and segments in all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.compare.variables import ATTRIBUTIONS, Group
from whyport.batch.methods.positions import Positions
from whyport.batch.output.columns import ExplanationColumns
from whyport.batch.output.layouts import WideLayout
from whyport.batch.report.gather.by_feature import sums_by_feature
from whyport.batch.review.finished_run import FinishedRun

Sums = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class RunShares:
    """The shares of a run, and how to read them."""

    run: FinishedRun
    explanations: dict[Group, ExplanationColumns]
    names: tuple[str, ...]
    """The G names that have shares."""
    sums: Sums | None
    """The sums that make them of the run's positions; None where they are these."""

    @classmethod
    def of(cls, run: FinishedRun) -> Self:
        """The shares of a run; of none without explanations."""
        if not run.settings.methods or not run.parts:
            return cls(run, {}, (), None)
        found = {
            Group(ATTRIBUTIONS, each.method, each.target or each.suffix.removeprefix(".")): each
            for each in run.explanations
        }
        positions = run.layout.positions
        by_feature = sums_by_feature(run)
        if by_feature is not None:
            return cls(run, found, tuple(by_feature.positions.names), by_feature.sums)
        if positions.varying:
            names, sums = _by_input(positions)
            return cls(run, found, names, sums)
        return cls(run, found, tuple(positions.names), None)

    def columns(self, each: ExplanationColumns) -> list[str]:
        """The columns to read for an explanation."""
        return [each.score, *(field.name for field in self.run.fields(each))]

    def read(self, table: pa.Table, each: ExplanationColumns) -> list[NDArray[np.float32]]:
        """The shares of rows that are all explained, by name, [N] each; NaN where they are not finite."""
        if isinstance(self.run.layout, WideLayout) and self.sums is None:
            return [_numbers(table[field.name]) for field in self.run.fields(each)]
        stored = self.run.layout.read(table, each.prefix, each.suffix)
        # What --top-k has not kept counts as 0; a row without finite shares has none.
        values = np.zeros((table.num_rows, len(self.run.layout.features)))
        np.put_along_axis(values, stored.features, stored.values, axis=1)
        values[np.isnan(stored.values).any(axis=1)] = np.nan
        if self.sums is not None:
            values = self.sums(values)
        return list(np.ascontiguousarray(values.T, dtype=np.float32))


def explained_rows(table: pa.Table, each: ExplanationColumns) -> tuple[pa.Table, NDArray[np.bool_] | None]:
    """The rows of a table that are explained, and which they are, [N]; None where all are."""
    score = table[each.score]
    if not score.null_count:
        return table, None
    mask = pc.is_valid(score)
    return table.filter(mask), mask.to_numpy()


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column's numbers, without a copy where none is null."""
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if array.null_count:
        found: NDArray[np.float32] = array.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        return found
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float32)


def _by_input(positions: Positions) -> tuple[tuple[str, ...], Sums]:
    """A share for each input whose rows have tokens or segments of their own; the other inputs' as they are."""
    names: list[str] = []
    for block in positions.blocks:
        names += [block.input] if block.varies else positions.names[block.start : block.stop]

    def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = [values[:, block.start : block.stop] for block in positions.blocks]
        totals = [
            part.sum(axis=1, keepdims=True) if block.varies else part
            for part, block in zip(parts, positions.blocks, strict=True)
        ]
        return np.concatenate(totals, axis=1)

    return tuple(names), sums
