"""Lists of numbers of varying length, one a row: the cells of a row, with the number of steps behind them."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.lengths import Length
from whyport.runtime.inputs.lists import (
    AnyListEncoder,
    array_of_lists,
    flat_numbers,
    list_type,
)
from whyport.runtime.inputs.numbers import OtherTypeError, is_numeric, numeric_array
from whyport.runtime.inputs.sources import is_missing

if TYPE_CHECKING:
    import pyarrow as pa


@final
@dataclass(frozen=True)
class VaryingListEncoder(AnyListEncoder):
    """Turns a column of lists of any length into numbers: of each step its values, 0 beyond the last; the length."""

    @property
    def length(self) -> Length:
        """Where the number of steps stands, and what it may be."""
        assert self.source.length is not None
        return self.source.length

    @property
    def width(self) -> int:
        """The number of values of a step in this column."""
        return (len(self.source.places) - 1) // self.length.steps

    def takes(self, kind: "pa.DataType") -> bool:
        shape, leaf = list_type(kind)
        return is_numeric(leaf) and (len(shape) == 1 or (len(shape) == 2 and shape[1] in (None, self.width)))

    def fault(self, value: Any) -> str:
        each = f" steps of {self.width} numbers" if self.width > 1 else " numbers"
        wanted = f"expected a list of {self.length.expected}{each}"
        if is_missing(value):
            return f"{wanted}, got null"
        count = len(value)
        is_nested = any(np.iterable(own) and not isinstance(own, str | bytes) for own in value)
        if is_nested:
            for step, own in enumerate(value):
                if is_missing(own):
                    return f"{wanted}, got null at step {step}"
                if np.ndim(own) == 0:
                    return f"{wanted}, got {own!r} at step {step}"
                if len(own) != self.width:
                    return f"{wanted}, got {len(own)} numbers at step {step}"
        elif count % self.width:
            return f"{wanted}, got {count} numbers"
        steps = count if is_nested else count // self.width
        if not self.length.takes(np.array([steps]))[0]:
            return f"{wanted}, got {steps}"
        for place, number in enumerate(flat_numbers(value)):
            if isinstance(number, str | bytes):
                return f"{wanted}, got {number!r}"
            if is_missing(number) or not math.isfinite(number):
                got = "null" if number is None else "NaN" if is_missing(number) else "infinity"
                name = self.source.features[place].name
                return f"expected a finite number at {name[len(self.source.column.name) :]}, got {got}"
        return f"expected as many steps in every column of {self.length.name!r}, got {steps} here"

    def _of_arrow(self, array: "pa.Array") -> NDArray[Any]:
        import pyarrow as pa

        every = self._blank(len(array))
        counted = _counted(array)
        is_nested = bool(list_type(array.type.value_type)[0])
        fits = counted >= 0
        if is_nested:
            inner = array.flatten()
            short = _counted(inner) != self.width
            owner = np.arange(len(array)).repeat(np.maximum(counted, 0))
            fits[owner[short]] = False
            steps = counted
        else:
            fits &= counted % self.width == 0
            steps = counted // self.width
        fits &= self.length.takes(steps)
        kept = np.flatnonzero(fits)
        if not len(kept):
            return every
        chosen = array if len(kept) == len(array) else array.take(pa.array(kept))
        leaves = chosen.flatten().flatten() if is_nested else chosen.flatten()
        numbers = numeric_array(leaves)
        held = steps[kept] * self.width
        ends = held.cumsum()
        cell = np.arange(ends[-1]) - (ends - held).repeat(held)
        made = np.zeros((len(kept), every.shape[1]))
        made[np.arange(len(kept)).repeat(held), cell] = numbers
        made[:, -1] = steps[kept]
        every[kept] = made
        return every

    def _of_array(self, values: NDArray[Any]) -> NDArray[Any]:
        is_other = values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != self.width)
        if values.dtype.kind not in "biuf" or is_other:
            raise OtherTypeError(f"{values.dtype}, shape {list(values.shape)}")
        flat = values.reshape(len(values), math.prod(values.shape[1:]))
        every = self._blank(len(values))
        steps, rest = divmod(flat.shape[1], self.width)
        if rest == 0 and self.length.takes(np.array([steps]))[0]:
            every[:] = 0
            every[:, : flat.shape[1]] = flat
            every[:, -1] = steps
        return every

    def _fill(self, numbers: NDArray[np.float64], value: Any) -> None:
        if not np.iterable(value) or isinstance(value, str | bytes):
            raise OtherTypeError(type(value).__name__)
        array = array_of_lists(value)
        if array is None or (array.ndim == 2 and array.shape[1] != self.width):
            return
        flat = array.reshape(-1)
        steps, rest = divmod(len(flat), self.width)
        if array.ndim <= 2 and rest == 0 and self.length.takes(np.array([steps]))[0]:
            numbers[:] = 0
            numbers[: len(flat)] = flat
            numbers[-1] = steps


def _counted(array: "pa.Array") -> NDArray[np.int64]:
    """The length of every list; -1 for a null."""
    import pyarrow.compute as pc

    counted: NDArray[np.int64] = (
        pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    return np.where(array.is_valid().to_numpy(zero_copy_only=False), counted, -1)
