"""Heat maps and series of a sequence show the shares, and their sums."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whyport.batch.report.figures.canvas import BLUE, RED, drawing
from whyport.batch.report.figures.heat_maps import heat_map_figure, series_figure

CELLS = np.array([[1.0, -2, 0], [3, 4, -0.5], [-1, 0, 0.25], [0, 1, 0]])
LABELS = ("hr", "bp", "t")


def parts(figure: Figure) -> list[Axes]:
    above, _, main, beside, *_ = figure.axes
    return [above, main, beside]


def heights(axes: Axes, colour: str) -> list[float]:
    from matplotlib.colors import to_rgba

    return [bar.get_height() for bar in axes.patches if bar.get_facecolor() == to_rgba(colour)]


def widths(axes: Axes, colour: str) -> list[float]:
    from matplotlib.colors import to_rgba

    return [bar.get_width() for bar in axes.patches if bar.get_facecolor() == to_rgba(colour)]


def test_signed_shares_have_both_parts_of_their_sums() -> None:
    with drawing():
        above, main, beside = parts(heat_map_figure(CELLS, LABELS, [0, 1, 2], "logits", are_signed=True))
    (image,) = main.images
    np.testing.assert_array_equal(image.get_array(), CELLS.T)
    assert image.get_clim() == (-4, 4)
    assert [label.get_text() for label in main.get_yticklabels()] == list(LABELS)
    np.testing.assert_allclose(heights(above, RED), [1, 7, 0.25, 1])
    np.testing.assert_allclose(heights(above, BLUE), [-2, -0.5, -1, 0])
    np.testing.assert_allclose(widths(beside, RED), [4, 5, 0.25])
    np.testing.assert_allclose(widths(beside, BLUE), [-1, -2, -0.5])
    np.testing.assert_allclose(above.lines[0].get_ydata(), CELLS.sum(axis=1))
    np.testing.assert_allclose(beside.lines[0].get_xdata(), CELLS.sum(axis=0))


def test_of_some_features_the_sums_by_step_are_over_all() -> None:
    magnitudes = np.abs(CELLS)
    with drawing():
        above, main, beside = parts(heat_map_figure(magnitudes, LABELS, [0, 1], "logits", are_signed=False))
    np.testing.assert_array_equal(main.images[0].get_array(), magnitudes[:, :2].T)
    assert main.images[0].get_clim() == (0, 4)
    np.testing.assert_allclose(heights(above, BLUE), magnitudes.sum(axis=1))
    np.testing.assert_allclose(widths(beside, BLUE), magnitudes[:, :2].sum(axis=0))


def test_a_sequence_without_any_share_is_drawn() -> None:
    with drawing():
        _, main, _ = parts(heat_map_figure(np.zeros((4, 3)), LABELS, [0], "logits", are_signed=True))
    assert main.images[0].get_clim() == (-1, 1)


def test_the_series_are_coloured_by_their_shares() -> None:
    values = np.arange(12.0).reshape(4, 3)
    with drawing():
        first, second, *_ = series_figure(values, CELLS, LABELS, [0, 2], "logits").axes
    for axes, i in ((first, 0), (second, 2)):
        (marks,) = axes.collections
        np.testing.assert_array_equal(marks.get_offsets()[:, 1], values[:, i])
        np.testing.assert_array_equal(marks.get_array(), CELLS[:, i])
        assert marks.get_clim() == (-3, 3)
        sizes = marks.get_sizes()
        assert sizes.argmax() == np.abs(CELLS[:, i]).argmax()
