"""Categories in a report: their codes read from any input, their shares, and how often they occur."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from support.columns import category_column, number_column, time_column
from whyport.batch.report.figures.categories import occurrence_figure, shares_figure
from whyport.batch.report.gather.by_category import MOST_CATEGORIES, category_shares
from whyport.batch.report.gather.columns import TableColumns, titled, value_names
from whyport.batch.report.gather.dependence import grid_of
from whyport.batch.report.gather.drift import MOVED, input_counts, input_drift
from whyport.runtime.bundle.row import plain_sources

CITIES = category_column("city", ("Bern", "Lyon", "Oslo"), counts=(50, 30, 20))
CODES = np.array([0, 0, 1, 3, 4, 0, 1, np.nan])
SHARES = np.array([1.0, -3, 2, 0.5, 0.25, -1, 4, 9])


def test_a_table_is_read_as_the_model_reads_it() -> None:
    columns = [CITIES, number_column("size"), time_column("day")]
    arrays = [
        pa.array(["Lyon", None, "Turku"]).dictionary_encode(),
        pa.array([1, None, 3]),
        pa.array([19000, None, 1], pa.date32()),
    ]
    expected = [[1, 1, 19000], [4, np.nan, np.nan], [3, 3, 1]]
    np.testing.assert_array_equal(TableColumns.of(plain_sources(columns)).matrix(arrays), expected)
    unknown = TableColumns.unknown(("city", "size", "day")).matrix(arrays)
    np.testing.assert_array_equal(unknown[:, 1], [1, np.nan, 3])
    assert np.isnan(unknown[:, [0, 2]]).all()


def test_values_are_named() -> None:
    assert value_names(CITIES, np.array([2, 3, 4, np.nan])) == ["Oslo", "(other)", "(missing)", "missing"]
    assert value_names(time_column("day"), np.array([19000, 19000.5])) == ["2022-01-08", "2022-01-08T12:00:00"]
    assert value_names(number_column("size"), np.array([0.123456])) == ["0.1235"]
    assert titled(time_column("day")) == "day"


def test_the_shares_of_a_category_are_those_of_pandas() -> None:
    found = category_shares(CITIES, CODES, SHARES)
    frame = pd.DataFrame({"code": CODES, "share": SHARES}).dropna().groupby("code")["share"]
    assert found is not None
    assert found.labels == ("Bern", "Lyon", "(other)", "(missing)")
    np.testing.assert_array_equal(found.rows, frame.size())
    np.testing.assert_allclose(found.means, frame.mean())
    np.testing.assert_allclose(found.magnitudes, frame.apply(lambda each: each.abs().mean()))
    axes = shares_figure([found], "logits").axes[0]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], frame.mean())
    (ticks,) = (line for line in axes.lines if line.get_marker() == "|")
    np.testing.assert_allclose(ticks.get_xdata(), frame.apply(lambda each: each.abs().mean()))
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "Bern (3)",
        "Lyon (2)",
        "(other) (1)",
        "(missing) (1)",
    ]
    assert category_shares(CITIES, np.full(2, np.nan), np.zeros(2)) is None


def test_of_many_categories_the_commonest_are_shown() -> None:
    column = category_column("code", tuple(map(str, range(40))))
    codes = np.concatenate([np.arange(40.0), np.repeat(7.0, 3)])
    found = category_shares(column, codes, codes)
    assert found is not None
    assert (len(found.labels), found.labels[0], found.left_out) == (MOST_CATEGORIES, "7", 40 - MOST_CATEGORIES)
    grid = grid_of(column, 0, codes)
    assert (len(grid.values), grid.labels[0] if grid.labels else "") == (MOST_CATEGORIES, "7")


def test_drift_is_by_category() -> None:
    columns = [number_column("size"), CITIES]
    counts = input_counts(columns)
    codes = np.repeat([0.0, 1, 3, 4], [25, 25, 30, 20])
    counts.add(np.stack([np.linspace(-1, 1, 100), codes], axis=1))
    moved, still = input_drift(columns, counts).features
    assert (moved.name, still.name) == ("city", "size")
    before, after = np.array([0.5, 0.3, 0.2, 1e-4, 1e-4]), np.array([0.25, 0.25, 1e-4, 0.3, 0.2])
    assert moved.index == pytest.approx(((after - before) * np.log(after / before)).sum())
    assert moved.index > MOVED
    assert (moved.missing_before, moved.missing_after, moved.outside) == (0, 0.2, 0.3)
    assert moved.categories == ("Bern", "Lyon", "Oslo", "(other)", "(missing)")
    drawn = occurrence_figure([moved]).axes[0]
    heights = [[bar.get_height() for bar in bars] for bars in drawn.containers]
    assert heights == [[0.5, 0.3, 0, 0.2, 0], [0.25, 0.25, 0.3, 0, 0.2]]
