import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.columns import category_column, number_column
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


def test_probes_have_the_categories_of_rows_and_in_every_fourth_row_others():
    columns = [number_column("a"), category_column("b", ("x", "y", "z")), number_column("c")]
    rows = np.stack([ROWS[:, 0], np.arange(200) % 2 * 2, ROWS[:, 1]], axis=1).astype(np.float32)
    drawn = draw_probes(rows, 400, (0, 1), missing=True, columns=columns)
    odd = np.arange(400) % 4 == 3
    assert set(drawn[~odd, 1]) == {0, 2}  # never 1, which is between two rows
    assert set(drawn[odd, 1]) == {0, 2, 3, 4}
    assert np.isnan(drawn[odd][:, [0, 2]]).any(axis=0).all()
    assert not np.isnan(drawn[:, 1]).any()
    numbers = draw_probes(rows, 400, (0, 1), missing=False, columns=columns)
    assert np.isfinite(numbers).all()
    assert set(numbers[odd, 1]) == {0, 2, 3, 4}


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
