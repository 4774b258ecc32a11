"""Keys of rows as texts that compare, and the partition that each belongs to."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.runtime.errors import UsageError, message_line
from whyport.runtime.inputs.categories import is_text
from whyport.runtime.inputs.numbers import is_numeric, numeric_array

WHOLE = r"^\s*\+?(-?)0*(\d+)(\.0*)?\s*$"
"""A whole number as text, with what says nothing: zeros in front, and none behind the point."""


def key_texts(column: pa.Array, name: str, *, are_whole: bool) -> pa.Array:
    """The keys as large_string, null where there is none.

    A whole number is the same key as an integer, as a float and as text, where `are_whole`; otherwise the text 007 is
    another than the number 7.

    Args:
        column: the keys.
        name: the column, for messages.
        are_whole: whether the run's own keys are numbers.

    Raises UsageError for a column of another type than texts, numbers, booleans or dates.
    """
    if isinstance(column, pa.ExtensionArray):
        return key_texts(column.storage, name, are_whole=are_whole)
    if pa.types.is_dictionary(column.type):
        return key_texts(column.dictionary_decode(), name, are_whole=are_whole)
    if pa.types.is_floating(column.type):
        texts = _of_floats(numeric_array(column).astype(np.float64))
    else:
        try:
            texts = pc.cast(column, pa.large_string())
        except pa.ArrowException as error:
            why = message_line(error)
            raise UsageError(f"key: expected texts or whole numbers in {name!r}, got {column.type}: {why}") from None
    texts = whole_texts(texts) if are_whole or pa.types.is_decimal(column.type) else texts
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.large_string()), texts)


def are_numbers(kind: pa.DataType) -> bool:
    """Whether keys of an Arrow type are numbers."""
    return is_numeric(kind) and not pa.types.is_boolean(kind)


def whole_texts(texts: pa.Array) -> pa.Array:
    """Texts, those of whole numbers as shortly as they can be written."""
    plain = pc.cast(texts, pa.large_string()) if is_text(texts.type) else texts
    return pc.replace_substring_regex(plain, pattern=WHOLE, replacement=r"\1\2")


def _of_floats(values: NDArray[np.float64]) -> pa.Array:
    finite = np.isfinite(values)
    whole = finite & (values % 1 == 0) & (np.abs(values) < 2**63)
    integers = pc.cast(pa.array(np.where(whole, values, 0).astype(np.int64)), pa.large_string())
    others = pc.cast(pa.array(values, mask=~finite), pa.large_string())
    return pc.if_else(pa.array(whole), integers, others)


def partitions_of(texts: pa.Array, count: int) -> NDArray[np.int64]:
    """The partition of each key, [N], by a hash that is the same everywhere; `texts` are without nulls."""
    if count == 1:
        return np.zeros(len(texts), dtype=np.int64)
    import pandas as pd

    hashes: NDArray[Any] = pd.util.hash_array(texts.to_numpy(zero_copy_only=False), categorize=False)
    return (hashes % np.uint64(count)).astype(np.int64)
