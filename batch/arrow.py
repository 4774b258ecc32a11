"""Conversions between Arrow arrays and NumPy, and rows taken out of columns of any type.

Arrow lacks kernels for some types, as of version 26.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SHOWN = 100
"""The most characters of a value in a message."""


def class_indices(labels: pa.Array, classes: Sequence[str]) -> NDArray[np.int64]:
    """The index of the class that each label names, [N]; -1 for a label that names no class.

    Whole numbers name classes whatever their type: 1.0 names the class 1.
    """
    encoded = labels if pa.types.is_dictionary(labels.type) else labels.dictionary_encode()
    index = {name: i for i, name in enumerate(classes)}
    # One look-up per distinct value; the last entry is for null.
    of_value = np.array([*(index.get(_name(value), -1) for value in encoded.dictionary.to_pylist()), -1])
    codes = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(of_value) - 1).to_numpy(zero_copy_only=False)
    indices: NDArray[np.int64] = of_value[codes]
    return indices


def _name(label: Any) -> str:
    return str(int(label) if isinstance(label, float | Decimal) and label % 1 == 0 else label)


@final
class BeyondPython(str):
    """A value that Python has no type for, such as a day after the year 9999: its Arrow type, and its number."""

    __slots__ = ()


def python_value(value: pa.Scalar) -> Any:
    """One value as Python's; `BeyondPython` where it has none that holds it."""
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return BeyondPython(f"{value.type} {getattr(value, 'value', '')}".rstrip())


def python_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values, each as `python_value` gives it."""
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        values = [python_value(value) for value in column]
    return values


def first_row(table: pa.RecordBatch | pa.Table) -> dict[str, Any]:
    """The values of a table's first row by column, each as `python_value` gives it."""
    return {name: python_value(table.column(name)[0]) for name in table.schema.names}


def in_words(value: pa.Scalar) -> str:
    """One value for a message; a long one is cut."""
    found = python_value(value)
    text = "null" if found is None else found if isinstance(found, BeyondPython) else repr(found)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def array_of_rows(kind: pa.DataType, values: NDArray[np.floating[Any]]) -> pa.Array:
    """Values [N, ...] as N tensors or lists of that type, each row's flattened; values [N] as N numbers of it."""
    if values.ndim == 1:
        return pa.array(values).cast(kind)
    flat, length = pa.array(np.ascontiguousarray(values).reshape(-1)), values[0].size if len(values) else 0
    if isinstance(kind, pa.BaseExtensionType):
        lists = pa.FixedSizeListArray.from_arrays(flat, type=kind.storage_type)
        return pa.ExtensionArray.from_storage(kind, lists)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * length
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def holds_dictionary(kind: pa.DataType) -> bool:
    """Whether the type is a dictionary, or holds one at any depth."""
    inner = (kind.field(i).type for i in range(kind.num_fields))
    return pa.types.is_dictionary(kind) or any(holds_dictionary(child) for child in inner)


def select(batch: pa.RecordBatch, places: list[int]) -> pa.RecordBatch:
    """The columns at these places; the batch itself if that is all: selecting from a wide table takes milliseconds."""
    return batch if places == list(range(batch.num_columns)) else batch.select(places)


PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
"""The types that cannot be taken, each with a type that holds the same values."""


def take(array: pa.Array, rows: NDArray[Any]) -> pa.Array:
    """The values at these indices, of the same type."""
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(array.type, take(array.storage, rows))
    kind = _plain(array.type)
    if kind == array.type:
        return array.take(pa.array(rows))
    return pc.cast(pc.cast(array, kind).take(pa.array(rows)), array.type)


def take_rows(batch: pa.RecordBatch, rows: NDArray[Any]) -> pa.RecordBatch:
    """The rows at these indices."""
    return pa.record_batch([take(column, rows) for column in batch.columns], schema=batch.schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type with every part that cannot be taken replaced, at any depth."""
    if isinstance(kind, pa.StructType):
        return pa.struct([_plain_field(field) for field in kind])
    if isinstance(kind, pa.MapType):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field), kind.keys_sorted)
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    for lists, make in LISTS.items():
        if isinstance(kind, lists):
            return make(_plain_field(kind.value_field))
    # Extension types written in Python cannot be looked up in a dictionary.
    return next((plain for view, plain in PLAIN.items() if kind == view), kind)


LISTS = {
    pa.ListType: pa.list_,
    pa.LargeListType: pa.large_list,
    pa.ListViewType: pa.list_view,
    pa.LargeListViewType: pa.large_list_view,
}


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))
