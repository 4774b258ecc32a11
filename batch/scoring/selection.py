"""The choice of rows to explain: rows that meet a condition, and of these a fraction that is the same in every run."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import take
from whyport.batch.output.columns import (
    IDENTITY,
    IMPUTED_COUNT,
    SCORE,
    SOURCE_FILE,
    SOURCE_ROW,
    prediction_field,
    target_columns,
)
from whyport.batch.rows import PredictedRows
from whyport.batch.scoring.condition import Condition
from whyport.batch.targets import TargetChoice
from whyport.runtime.task import Task


@dataclass(frozen=True)
class KnownColumns:
    """The columns of the output that are known before anything is explained, as they are written."""

    task: Task
    choice: TargetChoice

    def schema(self, kept: Sequence[pa.Field]) -> pa.Schema:
        """Names and types of the known columns, with these kept columns."""
        explained = [pa.field(name, pa.string()) for name in self._targets]
        explained += [pa.field(f"{SCORE}{suffix}", pa.float32()) for _, suffix in self.choice.columns]
        return pa.schema([*IDENTITY, *kept, *map(prediction_field, self.task.columns), *explained, IMPUTED_COUNT])

    def array(self, name: str, rows: PredictedRows) -> pa.Array:
        """A known column by its name, [N]."""
        for column, values in zip(self.task.columns, rows.prediction.values, strict=True):
            if name == column.name:
                return self._names(values) if column.names_target else pa.array(values)
        if name == SOURCE_FILE:
            return pa.repeat(rows.source_file, len(rows.source_rows))
        if name == SOURCE_ROW:
            return pa.array(rows.source_rows)
        targets = self.choice.targets(rows.prediction.target, rows.rows.labels, rows.scores)
        if name in self._targets:
            return self._names(targets[:, self._targets[name]])
        for k, (_, suffix) in enumerate(self.choice.columns):
            if name == f"{SCORE}{suffix}":
                return pa.array(np.take_along_axis(rows.scores, targets[:, k : k + 1], axis=1)[:, 0])
        if name == IMPUTED_COUNT.name:
            return pa.array(rows.rows.imputed_count)
        return take(rows.batch.copied.column(name), rows.rows.kept)

    @property
    def _targets(self) -> dict[str, int]:
        """The columns that name an explained target, each with the explanation that it is for."""
        each = [(k, suffix) for k, (target, suffix) in enumerate(self.choice.columns) if target is None]
        return {name: k for k, suffix in each for name in target_columns(self.task.target_columns, suffix)}

    def _names(self, indices: NDArray[np.int64]) -> pa.Array:
        return pa.array(self.task.targets, pa.string()).take(pa.array(indices))


# The constants of splitmix64: Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195, in Vigna's public-domain code.
INCREMENT = np.uint64(0x9E3779B97F4A7C15)
FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Selection:
    """The choice of rows to explain: all rows, unless a condition or a fraction limits it."""

    condition: Condition | None = None
    fraction: float | None = None
    """A number above 0 and at most 1."""

    @classmethod
    def parse(cls, where: str | None, fraction: float | None) -> Self:
        """Parse the options; raises UsageError for a text that is no condition."""
        return cls(None if where is None else Condition.parse(where), fraction)

    @property
    def is_all(self) -> bool:
        """Whether every row is explained."""
        return self.condition is None and self.fraction is None

    def check(self, known: pa.Schema, task: Task, origin: str) -> None:
        """Check the condition against the known columns; raises UsageError naming them and `origin` otherwise."""
        if self.condition is not None:
            self.condition.check(known, origin, "" if task.probability_columns else f"a {task.name} has no classes")

    def mask(
        self, source_file: str, source_rows: NDArray[np.int64], column: Callable[[str], pa.Array]
    ) -> NDArray[np.bool_]:
        """Whether each row of one file is explained, [N]; False where the condition is null.

        Args:
            source_file: the file.
            source_rows: the rows' numbers in it, [N].
            column: gives the N values of a column that the condition names.
        """
        chosen = np.ones(len(source_rows), dtype=np.bool_)
        if self.condition is not None:
            chosen = self.condition.holds(column)
        if self.fraction is not None:
            chosen = chosen & (uniform(source_file, source_rows) < self.fraction)
        return chosen

    def __str__(self) -> str:
        where = "" if self.condition is None else f" where {self.condition.text}"
        return f"rows{where}" if self.fraction is None else f"a share of {self.fraction:g} of the rows{where}"


def uniform(source_file: str, source_rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for every row of a file, [N], from the file's own stream of splitmix64 at the row's place.

    It depends only on the arguments: neither on how the rows are cut into batches, nor on their order.
    """
    seed = np.uint64(int.from_bytes(hashlib.sha256(source_file.encode()).digest()[:8], "little"))
    bits = mixed(seed + (source_rows.astype(np.uint64) + np.uint64(1)) * INCREMENT)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def cell_keys(keys: NDArray[np.float64], cells: int) -> NDArray[np.float64]:
    """A number in [0, 1) for every cell of rows, [N, cells], that follows from the rows' own, [N]."""
    states = (keys[:, None] * 2.0**53).astype(np.uint64) + np.arange(cells, dtype=np.uint64) * INCREMENT
    return (mixed(states) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The outputs of splitmix64 at these states, of any shape: each bit depends on all bits of its state."""
    bits = (bits ^ (bits >> np.uint64(30))) * FACTORS[0]
    bits = (bits ^ (bits >> np.uint64(27))) * FACTORS[1]
    return bits ^ (bits >> np.uint64(31))
