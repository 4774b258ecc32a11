from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.methods.positions import Block, Positions
from whyport.batch.output.layouts import attribution_layout, chosen_layout, positions_of
from whyport.runtime.bundle.inputs import Axis
from whyport.runtime.errors import UsageError

SEQUENCE = Block("vitals", False, 0, (Axis("time", 3, None), Axis("feature", 2, ("hr", "bp"))))
TABLE = Block("static", True, 6, (Axis("feature", 2, ("age", "dose")),))
CELLS = tuple(f"vitals[{step}].{name}" for step in range(3) for name in ("hr", "bp"))
BOTH = Positions((*CELLS, "age", "dose"), (SEQUENCE, TABLE))
ALONE = Positions(CELLS, (SEQUENCE,))
VALUES = np.arange(32, dtype=np.float32).reshape(4, 8)


def test_a_sequence_is_a_tensor_beside_the_columns_of_a_table(tmp_path: Path) -> None:
    layout = attribution_layout("tensor", None, BOTH)
    fields = layout.fields("m.", ".yes")
    assert [field.name for field in fields] == [
        "m.attribution.yes.vitals",
        "m.attribution.yes.age",
        "m.attribution.yes.dose",
    ]
    assert fields[0].type == pa.fixed_shape_tensor(pa.float32(), (3, 2), dim_names=["time", "feature"])
    assert fields[1].type == pa.float32()

    table = pa.table(layout.arrays(VALUES), schema=pa.schema(fields, metadata=layout.metadata))
    np.testing.assert_array_equal(table[0].combine_chunks().to_numpy_ndarray(), VALUES[:, :6].reshape(4, 3, 2))
    missing = table.take(pa.array([2, None, 0]))
    pq.write_table(missing, tmp_path / "x.parquet", row_group_size=2)
    stored = pq.read_table(tmp_path / "x.parquet")

    assert positions_of(stored.schema) == BOTH
    values = layout.read(stored, "m.", ".yes").values
    np.testing.assert_array_equal(values[[0, 2]], VALUES[[2, 0]])
    assert np.isnan(values[1]).all()


def test_a_sequence_alone_is_the_one_column() -> None:
    layout = attribution_layout("tensor", None, ALONE)
    assert [field.name for field in layout.fields("", "", ["standard_error"])] == ["attribution", "standard_error"]
    (column,) = layout.arrays(VALUES[:0, :6])
    assert (len(column), column.type.shape) == (0, [3, 2])


def test_auto_is_tensors_for_sequences_alone() -> None:
    table = Positions(("age", "dose"))
    assert [chosen_layout("auto", each) for each in (BOTH, table)] == ["tensor", "wide"]
    assert [chosen_layout("list", each) for each in (BOTH, table)] == ["list", "list"]
    with pytest.raises(UsageError, match="layout: expected auto, wide or list, got 'tensor', which is for models"):
        chosen_layout("tensor", table)
