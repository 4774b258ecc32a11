import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.methods.positions import Positions
from whyport.batch.output.layouts import AttributionLayout, attribution_layout, positions_of
from whyport.runtime.errors import JobError

FEATURES = ("a", "b.c", "größe")
VALUES = np.array([[1, -2, 0.5], [3, 3, -3], [0, 0, 0]], dtype=np.float32)
LAYOUTS = {
    "wide": attribution_layout("wide", None, Positions(FEATURES)),
    "list": attribution_layout("list", None, Positions(FEATURES)),
    "top 2": attribution_layout("wide", 2, Positions(FEATURES)),
    "top 9": attribution_layout("list", 9, Positions(FEATURES)),
}


def table_of(layout: AttributionLayout) -> pa.Table:
    return pa.table(layout.arrays(VALUES), schema=pa.schema(layout.fields("m.", ".yes")))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("groups", [1, 2])
def test_what_was_written_is_read_back(layout: AttributionLayout, groups: int, tmp_path: Path) -> None:
    pq.write_table(table_of(layout), tmp_path / "x.parquet", row_group_size=3 // groups)
    stored = layout.read(pq.read_table(tmp_path / "x.parquet"), "m.", ".yes")
    kept = stored.features.shape[1]
    np.testing.assert_array_equal(stored.values, np.take_along_axis(VALUES, stored.features, axis=1))
    assert kept == (2 if layout is LAYOUTS["top 2"] else 3)


def test_the_columns_are_named_by_method_class_and_feature() -> None:
    names = {name: [field.name for field in layout.fields("m.", ".yes")] for name, layout in LAYOUTS.items()}
    assert names["wide"] == ["m.attribution.yes.a", "m.attribution.yes.b.c", "m.attribution.yes.größe"]
    assert names["list"] == ["m.attribution.yes"]
    assert names["top 2"] == ["m.top_feature.yes", "m.top_attribution.yes"]
    assert [field.name for field in LAYOUTS["list"].fields("", "")] == ["attribution"]


def test_lists_hold_a_value_a_feature() -> None:
    (column,) = LAYOUTS["list"].arrays(VALUES)
    assert column.type == pa.list_(pa.float32(), 3)
    assert column.to_pylist() == VALUES.tolist()


def test_the_strongest_carry_their_names() -> None:
    names, values = LAYOUTS["top 2"].arrays(VALUES)
    assert names.to_pylist() == [["b.c", "a"], ["a", "b.c"], ["a", "b.c"]]
    assert values.to_pylist() == [[-2, 1], [3, 3], [0, 0]]
    assert LAYOUTS["top 9"].arrays(VALUES)[0].to_pylist()[0] == ["b.c", "a", "größe"]


def test_a_list_column_costs_one_array_however_many_features() -> None:
    layout = attribution_layout("list", None, Positions(tuple(str(i) for i in range(5000))))
    values = np.random.default_rng(0).normal(size=(4, 5000)).astype(np.float32)
    (column,) = layout.arrays(values)
    # The list's bytes are the matrix's own.
    assert column.values.buffers()[1].address == values.ctypes.data


def test_a_name_that_is_no_feature_has_no_place() -> None:
    table = table_of(LAYOUTS["top 2"])
    other = attribution_layout("wide", 2, Positions(("a", "x", "größe")))
    assert other.read(table, "m.", ".yes").features.tolist() == [[-1, 0], [0, -1], [0, -1]]


def test_the_features_are_in_the_metadata() -> None:
    metadata = LAYOUTS["list"].metadata
    assert json.loads(metadata["whyport.features"]) == list(FEATURES)
    assert positions_of(pa.schema([], metadata=metadata)).names == FEATURES
    with pytest.raises(JobError, match="expected the features' names under 'whyport.features'"):
        positions_of(pa.schema([]))
