"""The inputs of a model as numbers and categories, from batches of a table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.compare.tally import RARER
from whyport.batch.compare.variables import INPUTS, Chunk, Group, Variable
from whyport.batch.report.gather.by_feature import DescribedFeatures
from whyport.batch.report.gather.columns import TableColumns
from whyport.batch.scoring.selection import cell_keys
from whyport.runtime.bundle.columns import CATEGORY, LENGTH, TEXT, TOKEN, Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.lengths import padding
from whyport.runtime.bundle.row import sources_of
from whyport.runtime.inputs.encoders import Encoder, encoder_of
from whyport.runtime.inputs.numbers import is_numeric, numeric_array


@dataclass(frozen=True)
class TableInputs:
    """Columns of one value a row, as variables."""

    encoders: Mapping[str, Encoder | None]
    """By column of numbers: what makes numbers of other types; None to take them as they are."""
    categories: tuple[str, ...]
    """The variables of categories."""
    left_out: tuple[str, ...] = ()
    """The columns that are not compared."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read."""
        return (*self.encoders, *self.categories)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The variables of numbers."""
        return tuple(self.encoders)

    @classmethod
    def among(cls, schema: pa.Schema, names: Collection[str]) -> Self:
        """The columns with these names, by their types alone: a bundle that would describe them is gone."""
        there = [field for field in schema if field.name in names]
        numeric = [f.name for f in there if is_numeric(f.type) and not pa.types.is_boolean(f.type)]
        nested = [f.name for f in there if pa.types.is_nested(f.type) or isinstance(f.type, pa.BaseExtensionType)]
        others = tuple(f.name for f in there if f.name not in numeric and f.name not in nested)
        return cls(dict.fromkeys(numeric), others, tuple(nested))

    def only(self, names: Collection[str]) -> Self:
        """The same for the columns that a table has alone; the others are left out."""
        encoders = {name: each for name, each in self.encoders.items() if name in names}
        categories = tuple(name for name in self.categories if name in names)
        gone = tuple(name for name in self.names if name not in names)
        return type(self)(encoders, categories, (*self.left_out, *gone))

    def add(self, chunk: Chunk, table: pa.Table | pa.RecordBatch, keys: NDArray[np.float64]) -> None:
        """Put the variables of some rows, with a number in [0, 1) for each row, into a chunk."""
        group = Group(INPUTS)
        for name, encoder in self.encoders.items():
            chunk.numbers[Variable(group, name)] = _numbers(encoder, _array(table[name]))
        for name in self.categories:
            chunk.categories[Variable(group, name)] = _array(table[name])
        if self.encoders:
            chunk.keys[tuple(Variable(group, name) for name in self.encoders)] = keys


@dataclass(frozen=True)
class CellInputs:
    """Columns of lists or pictures, beside others: a feature's values are those of all its cells."""

    columns: TableColumns
    described: tuple[Column, ...]
    places: tuple[Sequence[int], ...]
    left_out: tuple[str, ...]
    """The columns that are not compared."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read."""
        return self.columns.names

    @property
    def numbers(self) -> tuple[str, ...]:
        """The variables of numbers."""
        return tuple(column.name for column in self.described if column.categories is None)

    @property
    def categories(self) -> tuple[str, ...]:
        """The variables of categories."""
        return tuple(column.name for column in self.described if column.categories is not None)

    def add(self, chunk: Chunk, table: pa.Table | pa.RecordBatch, keys: NDArray[np.float64]) -> None:
        """Put the variables of some rows, with a number in [0, 1) for each row, into a chunk."""
        rows = self.columns.matrix([_array(table[name]) for name in self.columns.names])
        own = ~padding(self.columns.lengths, rows)
        for column, places in zip(self.described, self.places, strict=True):
            is_own = own[:, list(places)]
            values = rows[:, list(places)][is_own]
            variable = Variable(Group(INPUTS), column.name)
            if column.categories is None:
                chunk.numbers[variable] = values.astype(np.float32)
                chunk.keys[variable,] = cell_keys(keys, len(places))[is_own]
                continue
            known = column.categories
            names = [*known.values, RARER, None]
            codes = np.where(np.isfinite(values), values, known.missing_code).astype(np.int64)
            chunk.categories[variable] = pa.array(names, pa.string()).take(pa.array(codes))


InputColumns: TypeAlias = TableInputs | CellInputs


def inputs_of(bundle: Bundle) -> InputColumns:
    """The inputs that a bundle describes; texts are left out, whose tokens are no quantities."""
    sources = sources_of(bundle.sidecar.inputs)
    texts = tuple(source.column.name for source in sources if source.column.kind == TEXT)
    if all(source.is_one_value for source in sources):
        plain = {source.column.name: source for source in sources if source.column.kind != CATEGORY}
        categories = tuple(source.column.name for source in sources if source.column.kind == CATEGORY)
        return TableInputs({name: encoder_of(source) for name, source in plain.items()}, categories, texts)
    described = DescribedFeatures.of(bundle.sidecar)
    pairs = [
        (column, places)
        for column, places in zip(described.columns, described.places, strict=True)
        if column.kind not in (TOKEN, LENGTH)
    ]
    # The rows keep the places of the texts, which are not encoded.
    columns = TableColumns.of(sources).among([source.column.name for source in sources if source.column.kind != TEXT])
    return CellInputs(columns, tuple(c for c, _ in pairs), tuple(p for _, p in pairs), texts)


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numbers(encoder: Encoder | None, array: pa.Array) -> NDArray[np.float32]:
    """A column's numbers as float32, as the model takes them; NaN where one is missing, or is none."""
    if pa.types.is_floating(array.type) and not array.null_count:
        values = array.to_numpy(zero_copy_only=False)
    elif encoder is not None and not encoder.is_number:
        values = encoder.encode(array)[0].reshape(-1)
    elif is_numeric(array.type):
        values = numeric_array(array)
    else:
        values = np.full(len(array), np.nan)
    with np.errstate(over="ignore"):
        found: NDArray[np.float32] = np.asarray(values).astype(np.float32, copy=False)
    return found
