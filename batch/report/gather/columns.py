"""The columns of a model's table as a report reads and names them: numbers, days, and codes of categories."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import TEXT, TIME, Categories, Column
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.row import Source, names_of
from whyport.runtime.inputs.encoders import Encoder, ReadFile, encoder_of, no_files
from whyport.runtime.inputs.numbers import is_numeric, numeric_array

OTHER, MISSING = "(other)", "(missing)"
"""The names of a value that is no category, and of none."""


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table, in order, and how their values become the numbers of features."""

    names: tuple[str, ...]
    encoders: tuple[Encoder | None, ...]
    """None for a column that nothing is known of: its numbers are taken as they are."""
    features: tuple[str, ...]
    """[F]: the names of the features; those of the columns, where there are no lists."""
    places: tuple[Sequence[int], ...]
    """The features that each column fills."""
    lengths: tuple[Length, ...] = ()
    """Where rows of varying length have their number of steps."""

    @classmethod
    def of(cls, sources: Sequence[Source], read_file: ReadFile | None = None) -> Self:
        """The columns that a bundle describes.

        Args:
            sources: the columns.
            read_file: gives the bundle's files; without it, texts have no numbers.
        """
        known = [read_file is not None or source.column.kind != TEXT for source in sources]
        pairs = list(zip(sources, known, strict=True))
        encoders = tuple(encoder_of(s, read_file or no_files) if is_known else None for s, is_known in pairs)
        features = names_of(sources)
        lengths = tuple(dict.fromkeys(s.length for s, is_known in pairs if s.length is not None and is_known))
        names, places = tuple(s.column.name for s in sources), tuple(s.places for s in sources)
        return cls(names, encoders, features, places, lengths)

    @classmethod
    def unknown(cls, names: Sequence[str]) -> Self:
        """The columns of a run whose bundle is gone."""
        return cls(tuple(names), (None,) * len(names), tuple(names), tuple((i,) for i in range(len(names))))

    def among(self, names: Collection[str]) -> Self:
        """The columns that a file has; the features of the others have no values."""
        kept = [i for i, name in enumerate(self.names) if name in names]
        if len(kept) == len(self.names):
            return self
        return dataclasses.replace(
            self,
            names=tuple(self.names[i] for i in kept),
            encoders=tuple(self.encoders[i] for i in kept),
            places=tuple(self.places[i] for i in kept),
        )

    def matrix(self, arrays: Sequence[pa.Array]) -> NDArray[np.float64]:
        """The values [N, F] of Arrow arrays; NaN where one is missing, or is no number of a column that is unknown.

        Beyond a row's last step they are 0, as in the rows that the model takes.
        """
        values = np.full((len(arrays[0]) if arrays else 0, len(self.features)), np.nan)
        for encoder, places, array in zip(self.encoders, self.places, arrays, strict=True):
            values[:, list(places)] = _numbers(encoder, array)
        return values


def _numbers(encoder: Encoder | None, array: pa.Array) -> NDArray[np.float64]:
    """The numbers of a column, [N, places]."""
    if encoder is not None and not encoder.is_number:
        return encoder.encode(array)[0].astype(np.float64).reshape(len(array), -1)
    if not is_numeric(array.type):
        return np.full((len(array), 1), np.nan)
    return numeric_array(array).astype(np.float64)[:, None]


def category_names(categories: Categories) -> tuple[str, ...]:
    """The name of every code."""
    return (*categories.values, OTHER, MISSING)


def value_names(column: Column | None, values: NDArray[np.float64]) -> list[str]:
    """A column's values [N] as text, without their unit: numbers, dates, or the names of categories."""
    return [_name(column, float(value)) for value in values]


def _name(column: Column | None, value: float) -> str:
    if not np.isfinite(value):
        return "missing"
    if column is not None and column.categories is not None:
        names = category_names(column.categories)
        return names[int(value)] if 0 <= value < len(names) else OTHER
    return day_text(value) if column is not None and column.kind == TIME else f"{value:.4g}"


def day_text(days: float) -> str:
    """A time in days since 1970-01-01 as a date, with the time of the day where it has one."""
    moment: Any = np.datetime64(round(days * 86_400), "s")
    return str(moment.astype("M8[D]") if days == int(days) else moment)


def titled(column: Column) -> str:
    """A column's name, with the unit of its numbers where that is known."""
    return column.name if column.unit is None or column.kind == TIME else f"{column.name} ({column.unit})"
