"""Lists of numbers, one a row, as the numbers of a model's row: nested, flat, of fixed or variable length."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.numbers import OtherTypeError, is_numeric, numeric_array
from whyport.runtime.inputs.sources import is_arrow, is_missing, values_of

if TYPE_CHECKING:
    import pyarrow as pa

NOT_LISTS = "columns that are not a list of numbers a row"
"""The fault of columns that are no lists, in words."""

NO_ROWS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class AnyListEncoder(CellsEncoder):
    """Turns a column of lists into the numbers that its features have in a row.

    A row's list may be nested, [steps][width], or flat, [steps x width].
    """

    rule: ClassVar[str] = NOT_LISTS

    def encode(self, column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
        if is_arrow(column):
            if not self.takes(column.type):
                raise OtherTypeError(str(column.type))
            chunks = getattr(column, "chunks", [column])
            found = [self._of_arrow(plain_storage(chunk)) for chunk in chunks]
            return np.concatenate(found) if found else self._blank(0), NO_ROWS
        values = values_of(column)
        if values.dtype != object:
            return self._of_array(values), NO_ROWS
        numbers = self._blank(len(values))
        for row, value in enumerate(values):
            if not is_missing(value):
                self._fill(numbers[row], value)
        return numbers, NO_ROWS

    @abstractmethod
    def _of_arrow(self, array: "pa.Array") -> NDArray[Any]:
        """The numbers of an Arrow array of lists, at one or two levels."""

    @abstractmethod
    def _of_array(self, values: NDArray[Any]) -> NDArray[Any]:
        """The numbers of an array [N, steps, width], [N, steps] or [N, steps x width]."""

    @abstractmethod
    def _fill(self, numbers: NDArray[np.float64], value: Any) -> None:
        """One row's numbers from a list among Python objects; they stay NaN where it does not fit."""


@final
@dataclass(frozen=True)
class ListEncoder(AnyListEncoder):
    """Turns a column of lists of one length into numbers: of each step in turn, its values."""

    @property
    def steps(self) -> int:
        """The number of steps of every list."""
        assert self.source.steps is not None
        return self.source.steps

    @property
    def width(self) -> int:
        """The number of values of a step."""
        return len(self.source.places) // self.steps

    def takes(self, kind: "pa.DataType") -> bool:
        shape, leaf = list_type(kind)
        return bool(shape) and is_numeric(leaf) and self._fits_type(shape)

    def fault(self, value: Any) -> str:
        each = f" steps of {self.width} numbers" if self.width > 1 else " numbers"
        wanted = f"expected a list of {self.steps}{each}"
        if is_missing(value):
            return f"{wanted}, got null"
        count = len(value)
        if count == self.steps and self.width > 1:
            for step, own in enumerate(value):
                if is_missing(own):
                    return f"{wanted}, got null at step {step}"
                if len(own) != self.width:
                    return f"{wanted}, got {len(own)} numbers at step {step}"
        elif count not in {self.steps * self.width, self.steps}:
            return f"{wanted}, got {count}" + (" steps" if count and np.ndim(value[0]) else " numbers")
        for place, number in enumerate(flat_numbers(value)):
            if isinstance(number, str | bytes):
                return f"{wanted}, got {number!r}"
            if is_missing(number) or not math.isfinite(number):
                got = "null" if number is None else "NaN" if is_missing(number) else "infinity"
                name = self.source.features[place].name
                return f"expected a finite number at {name[len(self.source.column.name) :]}, got {got}"
        return f"{wanted}, got {value!r}"

    def _of_arrow(self, array: "pa.Array") -> NDArray[Any]:
        import pyarrow.compute as pc

        rows = len(array)
        is_nested = bool(list_type(array.type.value_type)[0])
        lengths = [self.steps, self.width] if is_nested else [self.steps * self.width]
        fits = np.ones(rows, dtype=np.bool_)
        for depth, length in enumerate(lengths):
            counted = pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False)
            own = (
                ((counted == length) & array.is_valid().to_numpy(zero_copy_only=False))
                .reshape(-1, math.prod(lengths[:depth]))
                .all(axis=1)
            )
            if not own.all():
                array = array.take(_mask(np.repeat(own, math.prod(lengths[:depth]))))
                fits[np.flatnonzero(fits)[~own]] = False
            array = array.flatten()
        numbers = numeric_array(array).reshape(-1, self.steps * self.width)
        if fits.all():
            return numbers
        every = np.full((rows, self.steps * self.width), np.nan, dtype=np.result_type(numbers.dtype, np.float32))
        every[fits] = numbers
        return every

    def _of_array(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.dtype.kind not in "biuf" or values.ndim < 2:
            raise OtherTypeError(f"{values.dtype}, shape {list(values.shape)}")
        if not self._fits_type(values.shape[1:]):
            raise OtherTypeError(f"shape {list(values.shape)}")
        return values.reshape(len(values), math.prod(values.shape[1:]))

    def _fits_type(self, shape: tuple[int | None, ...]) -> bool:
        """Whether lists of a type of this shape, null where a length is free, may hold what is expected."""
        allowed = [(self.steps, self.width), (self.steps * self.width,)]
        return any(
            len(shape) == len(each) and all(got in (None, want) for got, want in zip(shape, each, strict=True))
            for each in allowed
        )

    def _fill(self, numbers: NDArray[np.float64], value: Any) -> None:
        if not np.iterable(value) or isinstance(value, str | bytes):
            raise OtherTypeError(type(value).__name__)
        array = array_of_lists(value)
        if array is not None and array.shape in ((self.steps, self.width), (self.steps * self.width,)):
            numbers[:] = array.reshape(-1)


def grouping_query(columns: Sequence[str], name: str) -> str:
    """What to do with a table that has a row a step, in words and SQL.

    Args:
        columns: the columns of a step's values.
        name: the column of lists that becomes of them.
    """
    value = columns[0] if len(columns) == 1 else f"[{', '.join(columns)}]"
    query = f"SELECT id, list({value} ORDER BY time) AS {name} FROM rows GROUP BY id"
    return f"a table with a row a step becomes lists by: {query}"


def list_type(kind: "pa.DataType") -> "tuple[tuple[int | None, ...], pa.DataType]":
    """The lengths of nested lists of an Arrow type, null where one is free, and the type inside; () for no list."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(kind, pa.FixedShapeTensorType):
        return (tuple(kind.shape) if _is_row_major(kind) else ()), kind.value_type
    if types.is_fixed_size_list(kind):
        own: tuple[int | None, ...] = (kind.list_size,)
    elif types.is_list(kind) or types.is_large_list(kind):
        own = (None,)
    else:
        return (), kind
    inner, leaf = list_type(kind.value_type)
    return (*own, *inner), leaf


def _is_row_major(kind: "pa.FixedShapeTensorType") -> bool:
    return kind.permutation is None or list(kind.permutation) == list(range(len(kind.shape)))


def plain_storage(array: "pa.Array") -> "pa.Array":
    return getattr(array, "storage", array)


def _mask(chosen: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(np.flatnonzero(chosen))


def array_of_lists(value: Any) -> NDArray[np.float64] | None:
    """The numbers of a list that may be nested, with NaN for what is missing; None where lists do not fit together."""
    try:
        # NumPy walks lists many times as fast as Python, but knows no missing value besides None.
        is_of_objects = isinstance(value, np.ndarray) and value.dtype == object
        array = np.array(value.tolist() if is_of_objects else value)
        if array.dtype.kind in "biuf":  # a text that looks like a number is none
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    try:
        array = np.array(_nested(value))
        return array.astype(np.float64) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError):  # lists of different lengths, or of something else than numbers
        return None


def _nested(value: Any) -> Any:
    """Lists of lists, with NaN for what is missing, of any sequences."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    if np.iterable(value) and not isinstance(value, str | bytes):
        return [_nested(each) for each in value]
    return np.nan if is_missing(value) else value


def flat_numbers(value: Any) -> list[Any]:
    """The numbers of a list that may be nested, in order."""
    return [
        number
        for each in value
        for number in (flat_numbers(each) if np.iterable(each) and not isinstance(each, str | bytes) else [each])
    ]
