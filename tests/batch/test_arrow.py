from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.arrow import class_indices, take, take_rows

TEXTS = ["a", None, "longer than the twelve bytes of a view", ""]
DEEP = pa.list_(pa.struct([pa.field("x", pa.string_view(), metadata={"unit": "K"}), ("n", pa.map_("string", "int8"))]))
ARRAYS = {
    "int64": pa.array([1, None, 3, 4]),
    "string view": pa.array(TEXTS, pa.string_view()),
    "binary view": pa.array([None if text is None else text.encode() for text in TEXTS], pa.binary_view()),
    "deep": pa.array([[{"x": text, "n": [("k", 1)]}, None] for text in TEXTS], DEEP),
    "fixed": pa.array([[text] for text in TEXTS], pa.list_(pa.string_view(), 1)),
    "extension": pa.ExtensionArray.from_storage(pa.json_(pa.string_view()), pa.array(TEXTS, pa.string_view())),
    "dictionary": pa.array(TEXTS).dictionary_encode(),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("rows", [[], [2], [0, 1, 3], [3, 3, 0]])
def test_the_values_at_the_places_are_taken(name: str, rows: list[int]) -> None:
    array = ARRAYS[name]
    taken = take(array, np.array(rows, dtype=np.int64))
    assert taken.type.equals(array.type, check_metadata=True)
    assert taken.to_pylist() == [array.to_pylist()[row] for row in rows]
    sliced = take(array.slice(1), np.array([0, 2]))
    assert sliced.to_pylist() == [array.to_pylist()[1], array.to_pylist()[3]]


def test_rows_keep_their_schema() -> None:
    schema = pa.schema([pa.field(name, array.type, metadata={"m": name}) for name, array in ARRAYS.items()])
    batch = pa.record_batch(list(ARRAYS.values()), schema=schema)
    taken = take_rows(batch, np.array([3, 1]))
    assert taken.schema.equals(schema, check_metadata=True)
    assert taken.to_pylist() == [batch.to_pylist()[3], batch.to_pylist()[1]]


@pytest.mark.parametrize(
    "values", [[1, 0, None], [1.0, 0.0, None], ["1", "0", None], [Decimal("1.00"), Decimal(0), None]]
)
def test_whole_numbers_of_any_type_name_classes(values: list[object]) -> None:
    np.testing.assert_array_equal(class_indices(pa.array(values), ("0", "1")), [1, 0, -1])
    np.testing.assert_array_equal(class_indices(pa.array([0.5, float("inf"), float("nan")]), ("0", "1")), [-1, -1, -1])
