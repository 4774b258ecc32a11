"""One column of a user's table as the numbers of the model's row: numbers as they are, days, or codes of categories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import TIME, Column
from whyport.runtime.inputs.categories import CategoryCodes, category_type
from whyport.runtime.inputs.numbers import is_numeric, number_array
from whyport.runtime.inputs.times import days, is_time

if TYPE_CHECKING:
    import pyarrow as pa

NOT_NUMBERS, NOT_TIMES = "columns that are not one number a row", "columns that are not dates, times or text"
NOT_VALUES = "columns that are not one value a row"
"""The faults of columns that cannot be encoded, in words."""

UNSEEN, CUT = "unseen", "cut"
"""The facts that are told of rows: a value that training has not seen, or a text that was cut off."""


@dataclass(frozen=True)
class Unseen:
    """The values of some rows that training has not seen: other categories, other types, dates that do not exist.

    Also the texts of which the model sees the beginning alone.
    """

    rows: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """The rows with such a value by column, ascending; columns without any are absent."""
    cut: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """The rows with a text that is longer than the model takes, by column, as `rows`."""

    @classmethod
    def of(cls, told: Mapping[tuple[str, str], NDArray[np.int64]]) -> Self:
        """The rows with anything to tell of, by what is told and the column."""
        by_kind = {
            kind: {name: rows for (own, name), rows in told.items() if own == kind and len(rows)}
            for kind in (UNSEEN, CUT)
        }
        return cls(by_kind[UNSEEN], by_kind[CUT])

    @property
    def counts(self) -> dict[str, int]:
        """The number of such values by column."""
        return {name: len(rows) for name, rows in self.rows.items()}

    @property
    def any_rows(self) -> NDArray[np.int64]:
        """The rows with such a value in any column, ascending."""
        found: NDArray[np.int64] = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *self.rows.values()]))
        return found

    def text(self, total: int) -> str:
        """The counts in words, for a line of a log.

        Args:
            total: the number of rows looked at.
        """
        counted = ", ".join(f"column {name!r} {count}" for name, count in self.counts.items())
        return f"values that training has not seen, in {len(self.any_rows)} of {total} rows: {counted}"

    @property
    def cut_counts(self) -> dict[str, int]:
        """The number of texts that were cut off by column."""
        return {name: len(rows) for name, rows in self.cut.items()}

    def cut_text(self, total: int) -> str:
        """The counts of texts that were cut off in words, for a line of a log.

        Args:
            total: the number of rows looked at.
        """
        counted = ", ".join(f"column {name!r} {count}" for name, count in self.cut_counts.items())
        return f"texts cut off at the most tokens that the model takes, of {total} rows: {counted}"


@final
class ColumnEncoder:
    """Turns the values of one column into float numbers: a number, the days since 1970-01-01, or a category's code."""

    tells: ClassVar[str] = UNSEEN
    """The fact about the rows that `encode` names: UNSEEN or CUT."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._codes = None if column.categories is None else CategoryCodes(column.categories)

    @property
    def is_number(self) -> bool:
        """Whether the column's values are numbers, which are taken as they are."""
        return self._codes is None and not self.is_time

    @property
    def is_time(self) -> bool:
        """Whether the column's values are dates or times, of which whole days are exact in float32."""
        return self._column.kind == TIME

    @property
    def rule(self) -> str:
        """The fault of a column that `encode` refuses, in words."""
        if self._codes is not None:
            return NOT_VALUES
        return NOT_TIMES if self.is_time else NOT_NUMBERS

    def encode(self, column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The numbers of a column's N values, [N], NaN where a number or a time is missing; and the unseen rows.

        Raises OtherTypeError where the column has a type that the model cannot take.
        """
        if self._codes is not None:
            codes = self._codes.codes(column)
            assert self._column.categories is not None
            return codes, np.flatnonzero(codes == self._column.categories.other_code)
        if self.is_time:
            numbers, is_bad = days(column)
            return numbers, np.flatnonzero(is_bad)
        return number_array(column, self._column.name), np.zeros(0, dtype=np.int64)

    def takes(self, kind: "pa.DataType") -> bool:
        """Whether `encode` takes a column of an Arrow type: categories of any type are at worst unseen."""
        if self._codes is not None:
            return True
        return is_time(kind) if self.is_time else is_numeric(kind)

    def changed_type(self, kind: "pa.DataType") -> str | None:
        """The type that was expected of a column of categories, where none of an Arrow type's values can be one."""
        categories = self._column.categories
        if categories is None:
            return None
        import pyarrow as pa

        got = category_type(kind)
        fits = {"text": ("text",), "number": ("number",), "boolean": ("boolean", "number")}[categories.type]
        return None if got in fits or pa.types.is_null(kind) else categories.type
