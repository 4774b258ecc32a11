"""Waterfall and force plot: the pieces add up to score - base value, and the strongest are named."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from whyport.batch.report.figures.canvas import BLUE, GROUND, MUTED, RED, drawing, shorten
from whyport.batch.report.figures.force import DRAWN, NAMED, force_figure, force_pieces
from whyport.batch.report.figures.row_shares import RowShares, signed
from whyport.batch.report.figures.waterfall import waterfall_figure, waterfall_pieces

SHARES = np.random.default_rng(0).normal(size=400)
CASES = {
    "one feature": SHARES[:1],
    "all raise": np.abs(SHARES[:9]),
    "all lower": -np.abs(SHARES[:9]),
    "one of 300 alone": np.where(np.arange(300) == 7, 5.0, SHARES[:300] / 1e4),
    "one of 2 is 0": np.array([0.0, -1.0]),
    "nothing": np.zeros(5),
    **{f"{count} even ones": SHARES[:count] for count in (2, 7, 12, 13, 20, 21, 300)},
}


def row_of(shares: np.ndarray, base: float = 0.5, error: float = 0.0) -> RowShares:
    names = tuple(f"feature number {i}" for i in range(len(shares)))
    texts = [str(i) for i in range(len(shares))]
    return RowShares(names, shares, base, base + float(shares.sum()) + error, "logits", texts)


def arrows(figure: Figure) -> list[tuple[float, float]]:
    """The beginning and the tip of every arrow, from the corners that are drawn."""
    found = [np.asarray(patch.get_xy()) for patch in figure.axes[0].patches if isinstance(patch, Polygon)]
    return [(float(corners[0, 0]), float(corners[2, 0])) for corners in found]


@pytest.mark.parametrize("shares", CASES.values(), ids=CASES)
def test_a_waterfall_leads_from_the_base_value_to_the_score(shares: np.ndarray) -> None:
    row = row_of(shares)
    with drawing():
        figure = waterfall_figure(row, 12)
        drawn = arrows(figure)
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert drawn[0][0] == pytest.approx(0.5)
    assert drawn[-1][1] == pytest.approx(row.score)
    assert all(first[1] == pytest.approx(second[0]) for first, second in pairwise(drawn))
    named = min(len(shares), 12 if len(shares) <= 12 else 11)
    order = sorted(range(len(shares)), key=lambda i: -abs(shares[i]))[:named]
    expected = [f"feature number {i} = {i}" for i in order]
    expected += [f"{len(shares) - 11} other features"] if len(shares) > 12 else []
    assert labels == ["base value", *expected, "score"]
    lengths = [end - start for start, end in drawn]
    np.testing.assert_allclose(lengths[:named], shares[order], atol=1e-12)
    if len(shares) > 12:
        assert lengths[-1] == pytest.approx(shares.sum() - shares[order].sum())


@pytest.mark.parametrize("shares", CASES.values(), ids=CASES)
def test_a_force_plot_adds_up_and_names_the_strongest_features(shares: np.ndarray) -> None:
    row = row_of(shares)
    with drawing():
        figure = force_figure(row)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        labels = [text.get_text() for text in axes.texts if " = " in text.get_text()]
        boxes = [text.get_window_extent() for text in axes.texts]
        rest = [text.get_text() for text in axes.texts if "together" in text.get_text()]
        width, drawn = figure.bbox.width, arrows(figure)
    # What raises lies end to end left of the score, what lowers right of it; so they meet there, and begin at the base.
    raising = sorted(each for each in drawn if each[1] > each[0])
    lowering = sorted(each for each in drawn if each[1] < each[0])
    assert all(end == pytest.approx(start) for (_, end), (start, _) in pairwise(raising))
    assert not raising or raising[-1][1] == pytest.approx(row.score)
    assert not lowering or min(end for _, end in lowering) == pytest.approx(row.score)
    assert sum(end - start for start, end in drawn) == pytest.approx(row.score - row.base)
    strongest = [i for i in np.argsort(-np.abs(shares), kind="stable")[:NAMED] if shares[i]]
    expected = [f"feature number {i} = {i}: {signed(shares[i])}" for i in strongest]
    assert sorted(labels) == sorted(expected)
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= -1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert sum(int(text.split()[0]) for text in rest) == max(len(shares) - DRAWN, 0)


@pytest.mark.parametrize("error", [0.5, -0.5])
def test_an_error_is_a_piece_of_its_own_and_never_spread(error: float) -> None:
    row = row_of(np.array([1.0, -2.0]), error=error)
    for pieces in (waterfall_pieces(row, 12), force_pieces(row)):
        assert [piece.share for piece in pieces] == pytest.approx([-2, 1, error])
        assert [piece.colour for piece in pieces] == [BLUE, RED, MUTED]
        assert pieces[-1].name == "missing in the sum"
    assert not row_of(np.array([1.0, -2.0]), error=1e-6).missing()
    with drawing():
        assert arrows(waterfall_figure(row, 12))[-1][1] == pytest.approx(row.score)
        drawn = arrows(force_figure(row))
    assert sum(end - start for start, end in drawn) == pytest.approx(row.score - row.base)


def test_directions_show_without_colour() -> None:
    with drawing():
        figure = waterfall_figure(row_of(np.array([3.0, -1.0, 0.25])), 12)
        texts = [text.get_text() for text in figure.axes[0].texts]
        corners = [np.asarray(patch.get_xy()) for patch in figure.axes[0].patches]
    assert texts[:3] == ["+3", "-1", "+0.25"]
    # The tip is beyond the neck, on the side where the arrow points.
    assert [np.sign(each[2, 0] - each[1, 0]) for each in corners] == [1, -1, 1]
    assert (np.abs([each[2, 0] - each[1, 0] for each in corners]) < 0.1).all()


def test_numbers_stay_inside_and_names_are_shortened() -> None:
    shares = np.array([1721.3, 399.6, 40.0, -10.2, 0.0])
    names = ("plain", "a=b", "$x$", "a very long name of a feature that has no room at all", "e")
    row = RowShares(names, shares, 3178.2, 3178.2 + float(shares.sum()), "g", ["1 cm", "", "v" * 90, "", ""])
    with drawing():
        figure = waterfall_figure(row, 5)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        frame = axes.get_window_extent()
        for text in axes.texts:
            box = text.get_window_extent()
            assert frame.x0 - 1 <= box.x0
            assert box.x1 <= frame.x1 + 1
        assert axes.get_tightbbox().x0 >= 0
        labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[1:3] == ["plain = 1 cm", "a=b"]
    assert labels[3] == rf"\$x\$ = {shorten('v' * 90, 24)}"
    assert labels[4] == shorten(names[3], 26)
    assert "+1,721" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("values", [(-1e30, 1e30), (1e-30, -2e-30), (np.float64(0), np.float64(0))])
def test_shares_of_any_size_are_drawn(values: tuple[float, float]) -> None:
    row = row_of(np.array(values), base=1e-30)
    with drawing():
        for figure in (waterfall_figure(row, 12), force_figure(row)):
            figure.draw_without_rendering()
            assert np.isfinite(figure.axes[0].get_xlim()).all()
            assert figure.axes[0].texts


@pytest.mark.parametrize("colour", [RED, BLUE, MUTED])
@pytest.mark.parametrize("ground", [GROUND, "#15171a", "#ffffff"])
def test_colours_stand_out_of_light_and_dark_ground(colour: str, ground: str) -> None:
    first, second = sorted((luminance(colour), luminance(ground)))
    assert (second + 0.05) / (first + 0.05) >= 3  # WCAG 2.2, 1.4.11 for graphics


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    channels = np.array([int(to_hex(colour)[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
