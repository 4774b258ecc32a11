"""The values of one row as its input has them, in words."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import first_row
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.runtime.bundle.columns import TEXT, TIME, Column
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.row import Source, sources_of
from whyport.runtime.errors import WhyportError
from whyport.runtime.inputs.categories import category_text
from whyport.runtime.inputs.encoders import cells_encoder

MISSING = "missing"


@dataclass(frozen=True)
class Value:
    """One value of an input."""

    value: Any
    """The value itself, as Python has it; None where it is missing."""
    unit: str | None
    text: str
    """The value in words, with its unit."""


class RowValues:
    """The values of one row, read when they are asked for.

    Args:
        run: the run.
        index: the input's index among all inputs.
        row: the row's number in the input.
        sources: the bundle's columns, which say the units, and what lists hold; by default those of the run's bundle,
            if it is there.
        output: the row in the output, [1]: what the run kept is taken from there, and not from the input.
    """

    def __init__(
        self,
        run: FinishedRun,
        index: int,
        row: int,
        sources: Sequence[Source] | None = None,
        output: pa.Table | None = None,
    ) -> None:
        self._run, self._index, self._row = run, index, row
        self._kept = pa.record_batch({}) if output is None else _one_batch(output.select(list(run.settings.keep)))
        found = known_sources(run) if sources is None else sources
        self._sources = {name: source for source in found for name in source.names}
        self._columns = frozenset(source.column.name for source in found)
        self._found: dict[str, Value] = {}
        self.problem = ""
        """The reason why values are not known; empty where they are."""

    def is_models(self, column: str) -> bool:
        """Whether the model reads a column, as far as the bundle is there to tell."""
        return column in self._columns

    def of(self, names: Sequence[str]) -> dict[str, str]:
        """The values of these features as text, with their unit; names that are none of the input's are left out."""
        return {name: value.text for name, value in self.known(names).items()}

    def known(self, names: Sequence[str]) -> dict[str, Value]:
        """The values of these features; names that are none of the input's are left out."""
        kept = [name for name in names if name not in self._found and self._column(name) in self._kept.schema.names]
        self._found |= self._values(self._kept, kept)
        lacking = [name for name in names if name not in self._found]
        if lacking and not self.problem:
            try:
                self._found |= self._read(lacking)
            except WhyportError as error:
                self.problem = str(error)
        return {name: self._found[name] for name in names if name in self._found}

    def _read(self, names: Sequence[str]) -> dict[str, Value]:
        # The columns to read, of a bundle that is gone by the features' own names.
        wanted = {self._column(name) for name in names}
        if not wanted - {None}:
            return {}  # groups of columns, or sums of cells, alone
        file = RunInputs(self._run, ()).open(self._index)
        there = [name for name in file.schema.names if name in wanted]
        if not there:
            return {}
        return self._values(RunInputs(self._run, there).rows(file, np.array([self._row])), names)

    def _values(self, batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, Value]:
        """The values of features in a batch of one row; of those alone that it has."""
        if not names or not batch.num_columns:
            return {}
        values: Mapping[str, Any] = first_row(batch) | self._elements(batch)
        known = {name: value for name, value in values.items() if not isinstance(value, list)}
        return {name: self._shown(known[name], self._described(name)) for name in names if name in known}

    @staticmethod
    def _shown(value: Any, column: Column | None) -> Value:
        text = shown_value(value, column)
        unit = None if column is None or column.kind == TIME else column.unit
        return Value(None if text == MISSING else value, unit, text)

    def _column(self, feature: str) -> str | None:
        """The column that holds a feature; None for a name that is no feature of the bundle."""
        if not self._sources:
            return feature
        source = self._sources.get(feature)
        return None if source is None else source.column.name

    def _described(self, feature: str) -> Column | None:
        source = self._sources.get(feature)
        return None if source is None else source.column

    def _elements(self, batch: pa.RecordBatch) -> dict[str, float]:
        """The numbers in the lists and images of a batch of one row, by feature."""
        several = {s.column.name: s for s in self._sources.values() if not s.is_one_value and s.column.kind != TEXT}
        found: dict[str, float] = {}
        for name in batch.schema.names:
            if name in several:
                source = several[name]
                (numbers,) = cells_encoder(source).encode(batch[name])[0]
                own = zip(source.names, numbers, _is_own(source, numbers), strict=True)
                found |= {feature: float(value) for feature, value, is_own in own if is_own}
        return found


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """A table of one row as a batch."""
    return pa.record_batch([table[name].combine_chunks() for name in table.schema.names], schema=table.schema)


def _is_own(source: Source, numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each number of a column of lists is the row's own: none beyond its last step is."""
    own = np.ones(len(numbers), dtype=np.bool_)
    if source.length is not None:
        step = np.arange(source.length.steps).repeat((len(numbers) - 1) // source.length.steps)
        own[:-1] = step < numbers[-1]
    return own


def known_sources(run: FinishedRun) -> Sequence[Source]:
    """The columns of the run's bundle; none where it is gone."""
    try:
        return sources_of(run.open_bundle().sidecar.inputs)
    except WhyportError:
        return ()


def picture_sizes(run: FinishedRun) -> dict[str, tuple[int, int]]:
    """The height and width in pixels of each image of the run's bundle; none where it is gone."""
    try:
        inputs = run.open_bundle().sidecar.inputs
    except WhyportError:
        return {}
    images = [each for each in inputs if isinstance(each.prepare, ImagePreparation)]
    return {each.name: (int(each.tensors[0].shape[1]), int(each.tensors[0].shape[2])) for each in images}


def value_text(value: object) -> str:
    """One value of an input as text."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, Decimal):
        return value_text(float(value))
    if isinstance(value, dt.datetime) and value.tzinfo is None and value.time() == dt.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def shown_value(value: object, column: Column | None) -> str:
    """One value of an input as text: of a category column the category, elsewhere with the column's unit."""
    if column is not None and column.categories is not None and isinstance(value, float | Decimal) and value == value:
        return category_text(value)
    return with_unit(value_text(value), column)


def with_unit(text: str, column: Column | None) -> str:
    """A value's text with its column's unit; dates, and what is missing, have none."""
    unit = None if column is None or column.kind == TIME or text == MISSING else column.unit
    return text if unit is None else f"{text} {unit}"
