"""Rows taken out of columns of any Arrow type: some of them Arrow has no kernel for, as of version 26."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
"""The types that cannot be taken, and others that hold the same values."""


def take(array: pa.Array, rows: NDArray[Any]) -> pa.Array:
    """The values at these places, of the same type."""
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(array.type, take(array.storage, rows))
    kind = _plain(array.type)
    if kind == array.type:
        return array.take(pa.array(rows))
    return pc.cast(pc.cast(array, kind).take(pa.array(rows)), array.type)


def take_rows(batch: pa.RecordBatch, rows: NDArray[Any]) -> pa.RecordBatch:
    """The rows at these places."""
    return pa.record_batch([take(column, rows) for column in batch.columns], schema=batch.schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type with what cannot be taken replaced, at any depth."""
    if isinstance(kind, pa.StructType):
        return pa.struct([_plain_field(field) for field in kind])
    if isinstance(kind, pa.MapType):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field), kind.keys_sorted)
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    for lists, make in LISTS.items():
        if isinstance(kind, lists):
            return make(_plain_field(kind.value_field))
    # Extension types that are written in Python cannot be looked up.
    return next((plain for view, plain in PLAIN.items() if kind == view), kind)


LISTS = {
    pa.ListType: pa.list_,
    pa.LargeListType: pa.large_list,
    pa.ListViewType: pa.list_view,
    pa.LargeListViewType: pa.large_list_view,
}


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))
