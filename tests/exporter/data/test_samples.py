import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.exporter.data.samples import draw_background, draw_probes
from whyport.runtime.bundle.vectors import to_parquet

ROWS = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)


def test_probes_lie_within_the_training_range_and_half_are_new():
    drawn = draw_probes(ROWS, 50, (0, 1), missing=False)
    assert drawn.dtype == np.float32
    assert (drawn >= ROWS.min(axis=0)).all()
    assert (drawn <= ROWS.max(axis=0)).all()
    known = (drawn[:, None] == ROWS).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(known, np.arange(50) % 2 == 0)


def test_probes_are_seeded():
    first, again, other = (draw_probes(ROWS, 9, seed, missing=True) for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)


def test_probes_with_gaps():
    gaps = np.isnan(draw_probes(ROWS, 100, (0, 1), missing=True)).any(axis=1)
    assert 10 < gaps.sum() <= 25


def test_background_rows_differ():
    drawn = draw_background(ROWS, 100, (0, 2))
    assert len(np.unique(drawn, axis=0)) == 100
    assert (drawn[:, None] == ROWS).all(axis=2).any(axis=1).all()
    np.testing.assert_array_equal(draw_background(ROWS[:7], 100, (0, 2)), ROWS[:7])


def test_parquet_has_a_list_of_fixed_length_a_row():
    tensor = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    table = pq.read_table(io.BytesIO(to_parquet({"attention": tensor, "weight": np.array([0.5, 0.5])})))
    assert table.schema.field("attention").type == pa.list_(pa.float32(), 6)
    assert table.schema.field("weight").type == pa.float64()
    assert table["attention"].to_pylist() == [list(range(6)), list(range(6, 12))]
