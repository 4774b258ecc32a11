"""The force plot of one row: all shares in one band, what raises the score against what lowers it."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whyport.batch.report.figures.canvas import GROUND, INK, MUTED, PLACE, WIDTH, make_room, number, plain
from whyport.batch.report.figures.row_shares import Piece, RowShares, draw_arrow, signed, write_beside

NAMED, DRAWN = 6, 20
"""The most features that are named, and that are drawn one by one."""
LINE, BAND, ABOVE = 0.22, 0.42, 0.34
"""The heights of a line of text, of the band and of the marks above it, in inches."""
ROOM = 0.04
"""The room on either side of the band, as a share of its width."""


def force_figure(row: RowShares) -> Figure:
    """All shares side by side: what raises ends at the score from the left, what lowers begins there.

    The strongest are named below the band, each in a line of its own. What is beyond the strongest is one arrow that
    raises and one that lowers.
    """
    pieces = force_pieces(row)
    named = [piece for piece in pieces[:NAMED] if piece.share]
    named += [piece for piece in pieces[NAMED:] if piece.is_error or piece.name.endswith(" others together")]
    below = LINE * len(named) + 0.1
    figure = Figure(figsize=(WIDTH, below + BAND + ABOVE + 0.65))
    axes = figure.add_axes((0.02, 0.1 / figure.get_figheight(), 0.96, 1 - 0.75 / figure.get_figheight()))
    axes.set_ylim(-below, BAND + ABOVE)
    starts = _starts(row.score, pieces)
    low = min([row.base, row.score, *starts, *(s + p.share for s, p in zip(starts, pieces, strict=True))])
    high = max([row.base, row.score, *starts, *(s + p.share for s, p in zip(starts, pieces, strict=True))])
    room = ROOM * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    for piece, start in zip(pieces, starts, strict=True):
        draw_arrow(axes, piece, start, places=(0, BAND), span=high - low or 1.0)
    middles = {id(piece): start + piece.share / 2 for piece, start in zip(pieces, starts, strict=True)}
    _name(axes, [(middles[id(piece)], piece) for piece in named])
    _mark(axes, row)
    _dress(axes, row.unit)
    make_room(axes)
    return figure


def force_pieces(row: RowShares) -> list[Piece]:
    """The strongest features first, then the others that raise, the others that lower, and a visible error."""
    others = row.values[row.order[DRAWN:]]
    joined = [others[others > 0], others[others < 0]]
    together = [Piece(f"{len(each)} others together", float(each.sum())) for each in joined if len(each)]
    return [*row.pieces(row.order[:DRAWN].tolist()), *together, *row.missing()]


def _starts(score: float, pieces: Sequence[Piece]) -> list[float]:
    """The beginning of each arrow: raising ones end at the score, lowering ones end there too, the largest nearest."""
    starts = [score] * len(pieces)
    reached = {True: score, False: score}
    for i in sorted(range(len(pieces)), key=lambda i: -abs(pieces[i].share)):
        raises = pieces[i].share >= 0
        starts[i] = reached[raises] - pieces[i].share
        reached[raises] = starts[i]
    return starts


def _name(axes: Axes, named: Sequence[tuple[float, Piece]]) -> None:
    """Write the pieces' labels below their middles, a line each, towards the side with more room.

    The outermost is lowest, and the ground of a label hides the lines behind it.
    """
    middle = sum(axes.get_xlim()) / 2
    for i, (x, piece) in enumerate(sorted(named, key=lambda each: abs(each[0] - middle))):
        y = -0.1 - LINE * (i + 0.5)
        axes.plot([x, x], [0, y], color=piece.colour, linewidth=1.2, clip_on=False)
        text, ground = (
            f"{piece.label(PLACE)}: {signed(piece.share)}",
            {"facecolor": GROUND, "edgecolor": "none", "pad": 1},
        )
        write_beside(axes, text, (x, y), 5, is_right=x < middle, fontsize=11, bbox=ground)


def _mark(axes: Axes, row: RowShares) -> None:
    """Mark base value and score above the band, each on its outer side of the other."""
    is_right = row.score >= row.base
    marks = (("base value", row.base, not is_right, "normal"), ("score", row.score, is_right, "bold"))
    for name, value, to_the_right, weight in marks:
        axes.plot([value, value], [0, BAND + ABOVE], color=INK if name == "score" else MUTED, linewidth=1.4)
        place = value, BAND + ABOVE / 2
        write_beside(axes, f"{name} {number(value)}", place, 5, is_right=to_the_right, fontsize=11, fontweight=weight)


def _dress(axes: Axes, unit: str) -> None:
    """Put the axis above, and nothing else around."""
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(f"score ({plain(unit)})", fontsize=11)
    axes.set_yticks([])
    axes.tick_params("x", labelsize=10)
    for edge in ("left", "right", "bottom"):
        axes.spines[edge].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.locator_params(axis="x", nbins=7)
