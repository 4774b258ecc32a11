"""INT96, Parquet's oldest kind of time: which of Arrow's units holds the values of a column.

An INT96 is a day and the nanoseconds of that day (https://github.com/apache/parquet-format, INT96). Arrow holds a time
as one int64: in nanoseconds from 1677 to 2262, in microseconds for 292 000 years around 1970. It wraps around without a
word where a time does not fit.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.runtime.errors import ColumnError

UNITS = ("ns", "us", "s")
"""The units that a column is read in, to find one that holds its values."""
LARGEST = (1 << 63) - 1


def int96_columns(file: pa.NativeFile, metadata: pq.FileMetaData) -> set[str]:
    """The columns with an INT96 at any depth: Arrow's type for these alone depends on the unit."""
    schemas = [pq.ParquetFile(file, metadata=metadata, coerce_int96_timestamp_unit=unit).schema_arrow for unit in UNITS]
    return {one.name for one, other in zip(schemas[0], schemas[-1], strict=True) if one.type != other.type}


@dataclass(frozen=True)
class Int96Needs:
    """The columns whose values not every unit holds."""

    nanoseconds: frozenset[str] = frozenset()
    """Columns with a time between two microseconds."""
    range: frozenset[str] = frozenset()
    """Columns with a time outside 1677 to 2262."""
    columns: frozenset[str] = frozenset()
    """All columns with INT96 times, where known."""

    @classmethod
    def of(cls, columns: Sequence[str], tables: Iterable[pa.Table | pa.RecordBatch]) -> Self:
        """The needs of INT96 columns, read once in each of `UNITS`.

        Raises ColumnError for a time that no unit holds: more than 292 000 years from 1970.
        """
        nanoseconds, beyond = set(), set()
        by_unit = list(tables)
        for name in columns:
            for leaves in zip(*(_leaves(table.column(name)) for table in by_unit), strict=True):
                if leaves[0].type == leaves[-1].type:
                    continue  # another kind of time, beside an INT96 in a struct
                ns, us, s = (leaf.drop_null().cast(pa.int64()).to_numpy() for leaf in leaves)
                if _is_beyond(s, LARGEST // 1_000_000):
                    raise ColumnError(f"column {name!r}: an INT96 time is more than 292 000 years from 1970")
                if (ns != us * 1000).any():  # where both wrap around, they differ by the digits alone
                    nanoseconds.add(name)
                if _is_beyond(us, LARGEST // 1000):
                    beyond.add(name)
        return cls(frozenset(nanoseconds), frozenset(beyond))

    def __or__(self, other: Self) -> Self:
        return type(self)(self.nanoseconds | other.nanoseconds, self.range | other.range, self.columns | other.columns)

    @property
    def unit(self) -> str:
        """The unit that holds all values: microseconds, unless a value has nanoseconds.

        Raises ColumnError where some values need nanoseconds and others the range of microseconds.
        """
        if self.nanoseconds and self.range:
            raise ColumnError(
                f"INT96 times outside 1677 to 2262 in {_listed(self.range)}, and times with nanoseconds in "
                f"{_listed(self.nanoseconds)}: no unit holds both, keep one of them"
            )
        return "ns" if self.nanoseconds else "us"

    @property
    def units(self) -> tuple[str, ...]:
        """All units that hold the values, the one of `unit` first; raises ColumnError as `unit` does."""
        is_free = self.columns and not (self.nanoseconds or self.range)
        return ("us", "ns") if is_free else (self.unit,)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"column {name!r}" for name in sorted(names))


def _is_beyond(times: NDArray[np.int64], most: int) -> bool:
    return bool(((times >= most) | (times <= -most)).any())


def _leaves(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """The times in a column, at any depth."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_timestamp(kind):
        yield column
    elif pa.types.is_map(kind):
        yield from _leaves(column.keys)
        yield from _leaves(column.items)
    elif pa.types.is_struct(kind):
        for child in column.flatten():
            yield from _leaves(child)
    elif hasattr(kind, "value_field"):
        yield from _leaves(column.flatten())
