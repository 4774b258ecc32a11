"""Columns of categories as codes: the position of each row's value among those that the model knows."""

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import Categories
from whyport.runtime.inputs.numbers import OtherTypeError, is_numeric, numeric_array
from whyport.runtime.inputs.sources import is_arrow, is_missing, is_number, values_of

if TYPE_CHECKING:
    import pyarrow as pa

TEXT, NUMBER, BOOLEAN = "text", "number", "boolean"
"""The types of categories."""

BOOLEANS = ("false", "true")


@final
class CategoryCodes:
    """The codes of the values of one column.

    The type of a value counts: a text is never a number by its spelling. A number is a category if it is equal to it;
    fractions are compared in float32, and so is a column of that type. Where booleans are known, 0 and 1 stand for them
    too.
    """

    def __init__(self, categories: Categories) -> None:
        self._type = categories.type
        self._other, self._missing = categories.other_code, categories.missing_code
        self._texts = {text: code for code, text in enumerate(categories.values)} if self._type == TEXT else {}
        numbers = [] if self._type == TEXT else [category_number(text) for text in categories.values]
        rounded = {float(np.float32(number)): code for code, number in enumerate(numbers)}
        self._rounded = _in_order(rounded)
        self._fractions = _in_order({number: code for number, code in rounded.items() if not number.is_integer()})
        self._exact = _in_order({number: code for code, number in enumerate(numbers)})

    def codes(self, column: Any) -> NDArray[np.int64]:
        """The code of each of a column's N values, [N]; no value is refused.

        Raises OtherTypeError where a NumPy array or a single value is not one value a row.
        """
        if is_arrow(column):
            chunks = getattr(column, "chunks", [column])
            found = [self._of_arrow(chunk) for chunk in chunks]
            return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        values = values_of(column)
        if values.ndim != 1:
            raise OtherTypeError(f"shape {list(values.shape)}")
        if values.dtype.kind in "iufb":
            return self._of_numbers(values, is_boolean=values.dtype.kind == "b")
        return self._of_objects(values.astype(object))

    def _of_arrow(self, array: "pa.Array") -> NDArray[np.int64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if isinstance(array, pa.ExtensionArray):
            return self._of_arrow(array.storage)
        kind = array.type
        if pa.types.is_dictionary(kind):
            of_value = np.append(self._of_arrow(array.dictionary), self._missing)
            places = pc.fill_null(pc.cast(array.indices, pa.int64()), len(of_value) - 1)
            found: NDArray[np.int64] = of_value[places.to_numpy(zero_copy_only=False)]
            return found
        if is_text(kind) and self._type == TEXT:
            return self._of_texts(pc.cast(array, pa.large_string()))
        if is_numeric(kind):
            return self._of_numbers(numeric_array(array), is_boolean=pa.types.is_boolean(kind))
        is_none = array.is_null().to_numpy(zero_copy_only=False)
        if is_text(kind):
            is_none |= pc.fill_null(pc.equal(pc.cast(array, pa.large_string()), ""), True).to_numpy(
                zero_copy_only=False
            )
        return np.where(is_none, self._missing, self._other)

    def _of_texts(self, array: "pa.Array") -> NDArray[np.int64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pa.array([*self._texts, "", None], pa.large_string())
        places = pc.fill_null(pc.index_in(array, value_set=known), len(known)).to_numpy()
        of_place = np.array([*range(len(self._texts)), self._missing, self._missing, self._other])
        found: NDArray[np.int64] = of_place[places]
        return found

    def _of_numbers(self, values: NDArray[Any], *, is_boolean: bool) -> NDArray[np.int64]:
        is_rounded = values.dtype in (np.float16, np.float32)
        values = values.astype(np.float64)
        codes = np.where(np.isnan(values), self._missing, self._other)
        if self._type == TEXT or (is_boolean and self._type != BOOLEAN):
            return codes
        if is_rounded:
            return _looked_up(values, self._rounded, codes)
        with np.errstate(over="ignore"):
            in_float32 = values.astype(np.float32).astype(np.float64)
        return _looked_up(values, self._exact, _looked_up(in_float32, self._fractions, codes))

    def _of_objects(self, values: NDArray[Any]) -> NDArray[np.int64]:
        if self._type == TEXT and set(map(type, values)) <= {str, type(None)}:
            code_of: dict[Any, int] = self._texts | {"": self._missing, None: self._missing}
            return np.fromiter((code_of.get(value, self._other) for value in values), np.int64, len(values))
        return np.fromiter(map(self._of_object, values), np.int64, len(values))

    def _of_object(self, value: Any) -> int:
        if is_missing(value):
            return self._missing
        if isinstance(value, str):
            return self._texts.get(value, self._other) if value else self._missing
        if not is_number(value) and type(value).__name__ != "Decimal":
            return self._other
        try:
            number = np.array([value], np.float32 if isinstance(value, np.float16 | np.float32) else np.float64)
        except OverflowError:
            return self._other
        return int(self._of_numbers(number, is_boolean=isinstance(value, bool | np.bool_))[0])


def _in_order(code_of: dict[float, int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The numbers, ascending, and the code of each."""
    numbers = sorted(code_of)
    return np.array(numbers, dtype=np.float64), np.array([code_of[number] for number in numbers], dtype=np.int64)


def _looked_up(
    values: NDArray[np.float64], known: tuple[NDArray[np.float64], NDArray[np.int64]], codes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The codes of the values that are among the known numbers, and the given codes of the others."""
    numbers, own = known
    if not len(numbers):
        return codes
    places = np.minimum(np.searchsorted(numbers, values), len(numbers) - 1)
    found: NDArray[np.int64] = np.where(numbers[places] == values, own[places], codes)
    return found


def category_number(text: str) -> float:
    """The number behind a category's text: 0 and 1 behind "false" and "true"."""
    return float(BOOLEANS.index(text)) if text in BOOLEANS else float(text)


def category_text(value: Any) -> str:
    """The text of a category: a number as shortly as it can be written, a boolean as "false" or "true"."""
    if isinstance(value, bool | np.bool_):
        return BOOLEANS[int(value)]
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return str(int(value))
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def is_text(kind: "pa.DataType") -> bool:
    """Whether an Arrow type is one of the types of text."""
    import pyarrow.types as types

    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view))


def category_type(kind: "pa.DataType") -> str | None:
    """The type of the categories that a column of an Arrow type can hold; None where it can hold any, or none."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return category_type(kind.value_type)
    if is_text(kind):
        return TEXT
    if types.is_boolean(kind):
        return BOOLEAN
    return NUMBER if is_numeric(kind) and not types.is_null(kind) else None
