"""One type for a kept column of several files: decided by the types alone, and without a changed value."""

from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.source.kept import common_field, common_type, is_widened, widened

KINDS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
INTEGERS = {kind: np.iinfo(kind.to_pandas_dtype()) for kind in KINDS}
POINT = pa.struct([("x", pa.null()), ("y", pa.list_(pa.int8()))])

COMMON: list[tuple[list[pa.DataType], pa.DataType | None]] = [
    ([pa.null(), pa.int64()], pa.int64()),
    ([pa.null(), pa.string()], pa.string()),
    ([pa.null(), pa.list_view(pa.string())], pa.list_view(pa.string())),
    ([pa.null(), pa.uuid()], pa.uuid()),
    ([pa.null(), pa.null()], pa.null()),
    ([pa.null(), pa.int8(), pa.int32()], pa.int32()),
    ([pa.float16(), pa.float32()], pa.float32()),
    ([pa.float32(), pa.float64()], pa.float64()),
    ([pa.int8(), pa.float32()], pa.float64()),
    ([pa.int32(), pa.float64()], pa.float64()),
    ([pa.uint32(), pa.int32(), pa.float32()], pa.float64()),
    ([pa.int64(), pa.float64()], None),
    ([pa.uint64(), pa.float64()], None),
    ([pa.uint64(), pa.int8()], None),
    ([pa.string(), pa.int64()], None),
    ([pa.string(), pa.binary()], None),
    ([pa.string(), pa.date32()], None),
    ([pa.bool_(), pa.int8()], None),
    ([pa.date32(), pa.timestamp("us")], None),
    ([pa.timestamp("us"), pa.timestamp("ns")], None),
    ([pa.timestamp("us"), pa.timestamp("us", "UTC")], None),
    ([pa.string(), pa.large_string()], pa.large_string()),
    ([pa.string(), pa.string_view(), pa.null()], pa.large_string()),
    ([pa.binary_view(), pa.binary()], pa.large_binary()),
    ([pa.binary(2), pa.binary(3)], None),
    ([pa.decimal128(5, 2), pa.decimal128(9, 2)], pa.decimal128(9, 2)),
    ([pa.decimal128(5, 2), pa.decimal128(9, 4)], pa.decimal128(9, 4)),
    ([pa.decimal128(38, 0), pa.decimal128(38, 10)], pa.decimal256(48, 10)),
    ([pa.decimal256(76, 0), pa.decimal128(38, 10)], None),
    ([pa.decimal128(5, 2), pa.int8()], None),
    ([pa.dictionary(pa.int8(), pa.string()), pa.string()], pa.string()),
    ([pa.dictionary(pa.int8(), pa.string()), pa.large_string()], pa.large_string()),
    (
        [pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int16(), pa.string())],
        pa.dictionary(pa.int16(), pa.string()),
    ),
    ([pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int8(), pa.string(), ordered=True)], pa.string()),
    ([pa.dictionary(pa.int8(), pa.string()), pa.int64()], None),
    ([pa.list_(pa.null()), pa.list_(pa.string())], pa.list_(pa.string())),
    ([pa.list_(pa.int8(), 2), pa.list_(pa.int8(), 3)], pa.list_(pa.int8())),
    ([pa.list_(pa.int8(), 2), pa.list_(pa.int32(), 2)], pa.list_(pa.int32(), 2)),
    ([pa.list_(pa.int8()), pa.large_list(pa.int16())], pa.large_list(pa.int16())),
    (
        [pa.list_(pa.field("item", pa.int8())), pa.list_(pa.field("array", pa.int8()))],
        pa.list_(pa.field("element", pa.int8())),
    ),
    ([pa.list_(pa.int64()), pa.list_(pa.float64())], None),
    ([pa.list_(pa.int64()), pa.int64()], None),
    (
        [POINT, pa.struct([("x", pa.string()), ("y", pa.list_(pa.int64()))])],
        pa.struct([("x", pa.string()), ("y", pa.list_(pa.int64()))]),
    ),
    ([pa.struct([("x", pa.int8())]), pa.struct([("y", pa.int8())])], None),
    ([pa.struct([("x", pa.int8())]), pa.struct([("x", pa.int8()), ("y", pa.int8())])], None),
    ([pa.map_(pa.string(), pa.null()), pa.map_(pa.string(), pa.int8())], pa.map_(pa.string(), pa.int8())),
    ([pa.uuid(), pa.binary(16)], None),
]


@pytest.mark.parametrize(("kinds", "expected"), COMMON, ids=lambda value: str(value)[:60])
def test_the_common_type_does_not_depend_on_the_order(kinds: list[pa.DataType], expected: pa.DataType | None) -> None:
    for ordered in permutations(kinds):
        assert common_type(ordered) == expected
    if expected is not None:
        assert all(is_widened(kind, expected) for kind in kinds)


@pytest.mark.parametrize("one", INTEGERS)
@pytest.mark.parametrize("other", INTEGERS)
def test_integers_keep_their_extremes(one: pa.DataType, other: pa.DataType) -> None:
    """Against the ranges of numpy's types."""
    common = common_type([one, other])
    least = min(INTEGERS[one].min, INTEGERS[other].min)
    most = max(INTEGERS[one].max, INTEGERS[other].max)
    holding = [kind for kind, range in INTEGERS.items() if range.min <= least and most <= range.max]
    assert common is None if not holding else common.bit_width == min(kind.bit_width for kind in holding)
    if common is None:
        return
    for kind in (one, other):
        values = [INTEGERS[kind].min, None, INTEGERS[kind].max]
        assert copied(pa.array(values, kind), common) == values


def copied(array: pa.Array, kind: pa.DataType) -> list[Any]:
    """The middle of a column, widened: a slice, as batches are."""
    longer = pa.concat_arrays([array[:1], array, array[:1]]).slice(1, len(array))
    batch = widened(pa.record_batch({"other": longer, "x": longer}), [pa.field("x", kind)])
    assert batch.schema.field("x").type == kind
    batch.validate(full=True)
    values: list[Any] = batch.column("x").to_pylist()
    return values


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([2**31 - 1, None, -(2**31)], pa.int32()), pa.float64()),
        (pa.array([1.1, None, -0.0, float("inf")], pa.float32()), pa.float64()),
        (pa.array(["a", None, ""]).dictionary_encode(), pa.large_string()),
        (pa.array(["a", None, "longer than the twelve bytes"], pa.string_view()), pa.large_string()),
        (pa.array([[1, None], None, [3, 4]], pa.list_(pa.int8(), 2)), pa.list_(pa.int64())),
        (pa.array([[1, None], None, []], pa.list_(pa.int8())), pa.large_list(pa.int64())),
        (
            pa.array([{"x": None, "y": [1]}, None, {"x": None, "y": None}], POINT),
            pa.struct([("x", pa.string()), ("y", pa.list_(pa.int64()))]),
        ),
        (pa.array([[("k", None)], None, []], pa.map_(pa.string(), pa.null())), pa.map_(pa.string(), pa.float32())),
        (pa.nulls(3), pa.list_view(pa.string())),
    ],
    ids=lambda value: str(value.type if isinstance(value, pa.Array) else value)[:60],
)
def test_values_stay_as_they_are(array: pa.Array, kind: pa.DataType) -> None:
    assert copied(array, kind) == array.to_pylist()


def test_fields_that_differ_in_more_than_the_type() -> None:
    one = pa.field("x", pa.int8(), nullable=False, metadata={"unit": "K", "PARQUET:field_id": "1"})
    other = pa.field("x", pa.int16(), metadata={"unit": "K", "PARQUET:field_id": "2"})
    common = common_field([one, other])
    assert common.equals(pa.field("x", pa.int16(), metadata={"unit": "K"}), check_metadata=True)
    assert common_field([one, one]).equals(one, check_metadata=True)


def test_no_columns_leave_the_rows() -> None:
    assert widened(pa.record_batch({"x": [1, 2]}), []).num_rows == 2
