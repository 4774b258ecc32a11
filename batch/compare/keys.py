"""The values of a key column: of one type in both runs, and parted by a hash."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import in_words
from whyport.batch.compare.sides import RunSide
from whyport.batch.scoring.selection import mixed
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.inputs.categories import is_text

FACTOR = 0x100000001B3
"""The multiplier of the hash of texts, an odd number: that of FNV-1a."""


def key_type(key: str, sides: tuple[RunSide, RunSide]) -> pa.DataType:
    """The type in which keys of two runs are compared; raises UsageError where a run lacks them, or types differ."""
    kinds = [_kind(key, side) for side in sides]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"key: expected one type of column {key!r}, got {kinds[0]} in {sides[0].title} and {kinds[1]} in "
            f"{sides[1].title}"
        )
    return kinds[0]


def _kind(key: str, side: RunSide) -> pa.DataType:
    kept = [name for name in side.run.settings.keep if name in side.run.schema.names]
    if key not in kept:
        raise UsageError(f"key: {unknown('kept column', key, kept)}, in {side.title}: run it with --keep {key}")
    found = side.run.schema.field(key).type
    kind = found.value_type if pa.types.is_dictionary(found) else found
    if pa.types.is_integer(kind):
        return pa.uint64() if kind == pa.uint64() else pa.int64()
    if is_text(kind):
        return pa.large_string()
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        raise UsageError(f"key: expected a column of one value a row, got {found} in {key!r}, in {side.title}")
    return kind


def key_values(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """The keys of some rows in that type; NaN is no key."""
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    array = array.cast(kind)
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    return array


def parts_of(keys: pa.Array, count: int) -> NDArray[np.int64]:
    """The part of each key [N], below `count`: equal keys have one part."""
    if count == 1:
        return np.zeros(len(keys), dtype=np.int64)
    if pa.types.is_integer(keys.type):
        filled = pc.fill_null(keys, 0).to_numpy(zero_copy_only=False)
        hashes = mixed(filled.astype(np.uint64))
    else:
        hashes = _of_texts(pc.fill_null(pc.cast(keys, pa.large_string()), ""))
    return (hashes % np.uint64(count)).astype(np.int64)


def _of_texts(texts: pa.Array) -> NDArray[np.uint64]:
    """The hash of each text's bytes: the sum of byte · FACTOR^place, mixed."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    if data is None or not len(texts) or bounds[0] == bounds[-1]:
        return np.zeros(len(texts), dtype=np.uint64)
    content = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].astype(np.uint64) + np.uint64(1)
    lengths = np.diff(bounds)
    powers = np.cumprod(np.full(int(lengths.max()), FACTOR, dtype=np.uint64))
    places = np.arange(len(content)) - np.repeat(bounds[:-1] - bounds[0], lengths)
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(content * powers[places], dtype=np.uint64)])
    return mixed(running[bounds[1:] - bounds[0]] - running[bounds[:-1] - bounds[0]])


def shown_key(value: pa.Scalar) -> str:
    """A key in words."""
    text = in_words(value)
    return text[1:-1] if text[:1] == text[-1:] == "'" else text
