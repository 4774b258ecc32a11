"""The pictures of how scores depend on columns: what is drawn is what was computed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support.bundles import WEIGHTS
from support.columns import category_column
from whyport.batch.report.figures.canvas import drawing
from whyport.batch.report.figures.dependence import LINES, dependence_figure
from whyport.batch.report.gather.dependence import ROWS, Dependence, Grid
from whyport.batch.report.gather.view import ReportSettings as Settings
from whyport.batch.report.gather.view import View, gather
from whyport.batch.report.picture import Picture
from whyport.batch.report.sections.dependence import dependence_blocks

Write = Callable[..., Path]
Score = Callable[..., Path]


def pictures(view: View) -> list[Picture]:
    return [block for block in dependence_blocks(view) if isinstance(block, Picture)]


def test_the_strongest_columns_have_curves_and_their_mean(score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table), methods=("occlusion",), explain_target="yes")
    view = gather(Settings(out=out, device="cpu"))
    assert [each.grid.name for each in view.dependences] == ["b", "c", "a"]  # as their weights are: 3, -1, 0.25
    (picture,) = pictures(view)
    assert picture.caption.startswith(f"The 3 strongest columns, over {ROWS} rows of the run, drawn by a hash")
    assert "In logits." in picture.caption
    with drawing():
        axes = picture.draw().axes
    for each, drawn in zip(view.dependences, axes, strict=False):
        assert (drawn.get_xlabel(), drawn.get_ylabel()) == (each.grid.name, "score (logits)")
        *thin, thick = drawn.lines
        assert len(thin) == LINES
        values, means = np.asarray(thick.get_data())
        slope = WEIGHTS[1, "abc".index(each.grid.name)]
        np.testing.assert_allclose(np.diff(means), slope * np.diff(values), atol=1e-4)
        np.testing.assert_array_equal(values, each.grid.values)


def test_the_run_s_own_rows_are_asked(score: Score, write: Write, table: pa.Table) -> None:
    one, two = write(table, "one.parquet"), write(table, "two.parquet")
    out = score(one, two, methods=("occlusion",))
    whole = gather(Settings(out=out, device="cpu")).dependences
    one.unlink()
    half = gather(Settings(out=out, device="cpu")).dependences
    assert [len(each.found) for each in whole] == [len(each.found) for each in half] == [ROWS] * 3
    assert set(half[0].found) <= set(table[half[0].grid.name].to_numpy().astype(np.float32))
    two.unlink()
    view = gather(Settings(out=out, device="cpu"))
    assert (view.dependences, dependence_blocks(view)) == ((), [])


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_and_runs_without_reasons(score: Score, write: Write, table: pa.Table, count: int) -> None:
    out = score(write(table.slice(0, count)), methods=("occlusion",), name="few")
    found = pictures(gather(Settings(out=out, device="cpu")))
    assert len(found) == count
    for picture in found:
        picture.draw()
    assert not dependence_blocks(gather(Settings(out=score(write(table)), device="cpu")))


def test_a_category_has_a_bar_from_the_mean_score() -> None:
    scores = np.array([[[1.0], [4.0]], [[3.0], [8.0]]])
    grid = Grid(category_column("colour", ("red", "blue")), 0, np.array([0, 1], dtype=np.float32))
    each = Dependence(grid, ("price",), scores, own=np.array([[1.0], [8.0]]), found=np.array([0.0, 1.0]))
    axes = dependence_figure([each], "price", "EUR").axes[0]
    assert [(bar.get_y(), bar.get_height()) for bar in axes.patches] == [(4.5, -2.5), (4.5, 1.5)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["red 50%", "blue 50%"]
    assert axes.get_ylabel() == "score (EUR)"
