"""Shares of rows of varying length: lists of the row's own steps."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.methods.positions import Block, Positions
from whyport.batch.output.layouts import attribution_layout, chosen_layout, positions_of
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.errors import UsageError

TABLE = Block("static", True, 0, (Axis("feature", 1, ("age",)),))
VISITS = Block("visits", False, 1, (Axis("time", 3, None), Axis("feature", 2, ("hr", "bp"))), place=7)
PULSE = Block("pulse", False, 7, (Axis("time", 2, None), Axis("feature", 1, ("pulse",))), place=10)
CELLS = tuple(f"visits[{step}].{name}" for step in range(3) for name in ("hr", "bp"))
POSITIONS = Positions(("age", *CELLS, "pulse[0]", "pulse[1]"), (TABLE, VISITS, PULSE))
STEPS = np.array([[2, 1], [3, 2], [1, 2]])
VALUES = np.arange(1, 28, dtype=np.float32).reshape(3, 9)
HAS = np.array([[1, 1, 1, 1, 1, 0, 0, 1, 0], [1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0, 1, 1]], dtype=np.bool_)


def test_the_rows_own_steps_are_counted_in_the_models_row() -> None:
    rows = np.zeros((3, 11))
    rows[:, 7], rows[:, 10] = STEPS.T
    np.testing.assert_array_equal(POSITIONS.steps_of(rows), STEPS)
    np.testing.assert_array_equal(POSITIONS.within(STEPS), HAS)


def test_each_row_is_written_and_read_with_its_own_steps(tmp_path: Path) -> None:
    layout = attribution_layout("list", None, POSITIONS)
    fields = layout.fields("m.", ".yes", ["standard_error"])
    assert [field.name for field in fields][:3] == [f"m.attribution.yes.{name}" for name in ("age", "visits", "pulse")]
    assert fields[1].type == pa.list_(pa.list_(pa.float32(), 2))
    assert fields[2].type == pa.list_(pa.float32())

    arrays = layout.arrays(VALUES, [VALUES / 8], STEPS)
    table = pa.table(arrays, schema=pa.schema(fields, metadata=layout.metadata)).take(pa.array([2, None, 0, 1]))
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=2)
    stored = pq.read_table(tmp_path / "x.parquet")
    assert stored["m.attribution.yes.visits"].to_pylist()[:3] == [[[20, 21]], None, [[2, 3], [4, 5]]]
    assert stored["m.attribution.yes.pulse"].to_pylist() == [[26, 27], None, [8], [17, 18]]

    assert positions_of(stored.schema) == POSITIONS
    shares = layout.read(stored, "m.", ".yes")
    expected = np.where(HAS, VALUES, 0)[[2, 0, 1]]
    np.testing.assert_array_equal(shares.values[[0, 2, 3]], expected)
    assert shares.has is not None
    np.testing.assert_array_equal(shares.has[[0, 2, 3]], HAS[[2, 0, 1]])
    assert np.isnan(shares.values[1]).all()
    np.testing.assert_array_equal(layout.read_extra(stored, "m.", ".yes", "standard_error")[[0, 2, 3]], expected / 8)


def test_no_row_at_all_has_columns_of_the_same_types() -> None:
    layout = attribution_layout("list", None, POSITIONS)
    arrays = layout.arrays(VALUES[:0], (), STEPS[:0])
    assert [array.type for array in arrays] == [field.type for field in layout.fields("", "")]


def test_the_strongest_of_a_short_row_are_its_own_cells_alone(tmp_path: Path) -> None:
    layout = attribution_layout("list", 6, POSITIONS)
    values = VALUES * np.where(np.arange(9) % 2, -1, 1)
    schema = pa.schema(layout.fields("", "", ["standard_error"]), metadata=layout.metadata)
    table = pa.table(layout.arrays(values, [VALUES], STEPS), schema=schema).take(pa.array([0, 1, 2, None]))
    pq.write_table(table, tmp_path / "x.parquet")
    stored = pq.read_table(tmp_path / "x.parquet")
    names = stored["top_feature"].to_pylist()
    assert names[2] == ["pulse[1]", "pulse[0]", "visits[0].bp", "visits[0].hr", "age"]
    assert names[1] == ["pulse[1]", "pulse[0]", "visits[2].bp", "visits[2].hr", "visits[1].bp", "visits[1].hr"]
    assert names[3] is None

    shares = layout.read(stored, "", "")
    assert shares.has is not None
    assert shares.has.sum(axis=1).tolist() == [6, 6, 5, 0]
    for row in range(3):
        assert len(set(shares.features[row])) == 6
        own = shares.has[row]
        np.testing.assert_array_equal(shares.values[row, own], values[row, shares.features[row, own]])
        assert not shares.values[row, ~own].any()
        assert not HAS[row, shares.features[row, ~own]].any()
    np.testing.assert_array_equal(layout.read_extra(stored, "", "", "standard_error"), np.abs(shares.values))


@pytest.mark.parametrize("layout", ["wide", "tensor"])
def test_a_fixed_number_of_cells_is_refused(layout: str) -> None:
    assert [chosen_layout(each, POSITIONS) for each in ("auto", "list")] == ["list", "list"]
    with pytest.raises(UsageError, match=f"got '{layout}', .* rows of 'visits', 'pulse' are of varying length"):
        chosen_layout(layout, POSITIONS)


def test_an_older_parts_inputs_have_no_place(tmp_path: Path) -> None:
    axes = (Axis("time", 3, None), Axis("feature", 2, ("hr", "bp")))
    fixed = Positions(CELLS, (Block("visits", False, 0, axes),))
    metadata = attribution_layout("tensor", None, fixed).metadata
    assert "place" not in metadata["whyport.inputs"]
    assert positions_of(pa.schema([], metadata=metadata)) == fixed
