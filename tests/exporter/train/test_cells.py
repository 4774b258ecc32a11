"""Cells of categories and numbers, and trees over them brought back to the rows."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import TargetEncoder

from whyport.exporter.data.columns import describe_table, encode_table
from whyport.exporter.train.cells import Cell, Cells, make_cells
from whyport.runtime.bundle.trees import LEAF, Trees


@pytest.fixture(scope="module")
def table():
    """Twelve hundred rows: a number with gaps, a category of three with gaps, and one of forty."""
    random = np.random.default_rng(0)
    number = np.where(random.random(1200) < 0.2, np.nan, random.normal(size=1200))
    few = random.choice(np.array(["a", "b", None], dtype=object), size=1200)
    many = random.integers(40, size=1200)
    frame = pd.DataFrame({"number": number, "few": few, "many": [f"v{i:02}" for i in many]})
    columns = describe_table(frame, {"number": "number", "few": "category", "many": "category"}, np.arange(1200))
    return columns, encode_table(columns, frame), (many % 7 + random.normal(size=1200))


def test_few_categories_are_a_cell_each_and_a_missing_number_is_the_median(table):
    columns, rows, outcome = table
    cells, _ = make_cells(columns, rows, outcome[:, None], seed=0)
    made = cells.of(rows)
    assert [cell.column for cell in cells.each] == [0, 1, 1, 1, 2]
    np.testing.assert_array_equal(made[:, 0], np.where(np.isnan(rows[:, 0]), np.nanmedian(rows[:, 0]), rows[:, 0]))
    # The third code is that of any other value: no training row has it, and so it has no cell.
    np.testing.assert_array_equal(made[:, 1:4], rows[:, 1:2] == [0, 1, 3])
    unseen = rows[:1].copy()
    unseen[0, 1] = columns[1].categories.other_code
    np.testing.assert_array_equal(cells.of(unseen)[0, 1:4], 0)


def test_many_categories_are_the_outcome_s_smoothed_mean_as_scikit_learn_has_it(table):
    columns, rows, outcome = table
    cells, _ = make_cells(columns, rows, outcome[:, None], seed=0)
    encoder = TargetEncoder(categories=[np.arange(42)], target_type="continuous").fit(rows[:, 2:], outcome)
    expected = encoder.transform(np.arange(42)[:, None])[:, 0]
    np.testing.assert_allclose(cells.each[4].table, expected, rtol=1e-6)
    # Another value and none, which no training row has.
    np.testing.assert_allclose(cells.each[4].table[40:], outcome.mean(), rtol=1e-6)


def test_a_training_row_s_own_outcome_is_not_in_its_cell(table):
    """Noise that is encoded by its own outcome would look like a signal."""
    columns, rows, _ = table
    noise = np.random.default_rng(1).normal(size=(1200, 1))
    cells, trained = make_cells(columns, rows, noise, seed=0)
    with_own, without = (np.corrcoef(made[:, 4], noise[:, 0])[0, 1] for made in (cells.of(rows), trained))
    assert with_own > 0.15
    assert without < 0.06  # two standard errors of no correlation


def test_there_is_a_cell_for_each_outcome(table):
    columns, rows, outcome = table
    cells, trained = make_cells(columns, rows, np.stack([outcome, -outcome, outcome**2], axis=1), seed=0)
    assert [cell.column for cell in cells.each] == [0, 1, 1, 1, 2, 2, 2]
    assert trained.shape == (1200, 7)


def stumps(cells: list[int], thresholds: list[float], columns: int) -> Trees:
    """A tree of two leaves, 1 on the left and 0 on the right, for each cell."""
    count = len(cells)
    left = np.array([[3 * i + 1, LEAF, LEAF] for i in range(count)], dtype=np.int32).reshape(-1)
    return Trees(
        roots=np.arange(0, 3 * count, 3, dtype=np.int32),
        cell=np.array([[cell, LEAF, LEAF] for cell in cells], dtype=np.int32).reshape(-1),
        threshold=np.array([[t, 0, 0] for t in thresholds], dtype=np.float32).reshape(-1),
        missing_left=np.zeros(3 * count, dtype=bool),
        left=left,
        right=np.where(left == LEAF, LEAF, left + 1).astype(np.int32),
        value=np.array([[0, 2**i, 0] for i in range(count)], dtype=np.float64).reshape(-1, 1),
        weights=np.ones((1, 1)),
        offset=np.zeros(1),
        columns=np.arange(columns, dtype=np.int32),
        encoding=np.full(columns, -1, dtype=np.int32),
        tables=np.zeros(0, dtype=np.float32),
    )


@pytest.mark.parametrize("own_way", [False, True])
def test_trees_over_cells_are_trees_over_rows(table, own_way):
    columns, rows, outcome = table
    if own_way:
        columns = (dataclasses.replace(columns[0], missing="model", imputation=None), *columns[1:])
    cells, _ = make_cells(columns, rows, outcome[:, None], seed=0)
    trees = stumps([0, 1, 3, 4], [0.5, 0.5, 0.5, 3.0], 5)
    np.testing.assert_array_equal(cells.over_rows(trees).scores(rows), trees.scores(cells.of(rows)))
    assert np.isnan(cells.of(rows)).any() == own_way


def test_an_imputed_number_at_the_threshold_goes_left():
    cells = Cells((Cell(0, imputation=0.1),))
    rows = np.array([[np.nan]], dtype=np.float32)
    assert cells.over_rows(stumps([0], [0.1], 1)).scores(rows) == [[1]]
    assert cells.over_rows(stumps([0], [np.nextafter(np.float32(0.1), np.float32(0))], 1)).scores(rows) == [[0]]


def test_trees_without_a_split_are_over_no_cell():
    trees = dataclasses.replace(
        stumps([], [], 0),
        roots=np.zeros(1, dtype=np.int32),
        **{name: np.full(1, LEAF, dtype=np.int32) for name in ("cell", "left", "right")},
        threshold=np.zeros(1, dtype=np.float32),
        missing_left=np.zeros(1, dtype=bool),
        value=np.ones((1, 1)),
    )
    cells = Cells((Cell(0, imputation=0.1),))
    assert cells.over_rows(trees).scores(np.array([[np.nan]], dtype=np.float32)) == [[1]]
