"""The waterfall of one row: from the base value to the score, feature by feature."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whyport.batch.report.figures.canvas import INK, MUTED, ROW, RULE, WIDTH, make_room, number, plain
from whyport.batch.report.figures.row_shares import Piece, RowShares, draw_arrow, signed, write_beside

LINE = 0.36
"""The height of a line, in inches."""
THICKNESS = 0.62
"""The height of an arrow, in lines."""


def waterfall_figure(row: RowShares, shown: int) -> Figure:
    """From the base value on top to the score below: an arrow for each of the strongest features, one for the others.

    Args:
        row: the shares.
        shown: the most arrows, at least 1.
    """
    pieces = waterfall_pieces(row, shown)
    figure = Figure(figsize=(WIDTH, LINE * (len(pieces) + 2) + 0.75), layout="constrained")
    axes = figure.subplots()
    ends = row.base + np.cumsum([0.0, *(piece.share for piece in pieces)])
    axes.axvline(row.base, color=RULE, linewidth=1, zorder=0)
    for i, piece in enumerate(pieces):
        place = i + 1.0
        edges = (place - THICKNESS / 2, place + THICKNESS / 2)
        draw_arrow(axes, piece, float(ends[i]), places=edges, span=row.span or 1.0)
        _write(axes, float(ends[i + 1]), place, signed(piece.share), is_right=piece.share >= 0)
        # From the end of an arrow to the beginning of the next one.
        axes.plot([ends[i + 1]] * 2, [place, place + 1], color=MUTED, linewidth=0.8, dashes=(2, 2), zorder=0)
    axes.plot([ends[0]] * 2, [0, 1], color=MUTED, linewidth=0.8, dashes=(2, 2), zorder=0)
    last = len(pieces) + 1.0
    for place, value in ((0.0, row.base), (last, row.score)):
        axes.plot([value], [place], marker="o", color=INK, markersize=6)
        _write(axes, value, place, number(value), is_right=value >= (row.base + row.score) / 2, weight="bold")
    labels = ["base value", *(piece.label(ROW) for piece in pieces), "score"]
    _dress(axes, labels, (float(ends.min()), float(ends.max())))
    axes.set_xlabel(f"score ({plain(row.unit)})")
    make_room(axes)
    return figure


def waterfall_pieces(row: RowShares, shown: int) -> list[Piece]:
    """The arrows, the strongest first; the last of them are the other features together, and a visible error."""
    order = row.order
    if len(order) <= shown:
        return [*row.pieces(order.tolist()), *row.missing()]
    named, others = order[: shown - 1], order[shown - 1 :]
    rest = Piece(f"{len(others)} other features", float(row.values[others].sum()))
    return [*row.pieces(named.tolist()), rest, *row.missing()]


def _write(axes: Axes, x: float, y: float, text: str, *, is_right: bool, weight: str = "normal") -> None:
    """Write a number beside the tip of an arrow; room is made for it afterwards, in the score's direction alone."""
    write_beside(axes, text, (x, y), 6, is_right=is_right, fontsize=10, fontweight=weight).set_in_layout(False)


def _dress(axes: Axes, labels: Sequence[str], ends: tuple[float, float]) -> None:
    """Name the lines, the first on top, and leave room around the arrows."""
    low, high = ends
    room = 0.04 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), list(labels))
    axes.tick_params("y", length=0)
    for edge in (0, len(labels) - 1):
        axes.get_yticklabels()[edge].set_fontweight("bold")
    axes.spines["left"].set_visible(False)
