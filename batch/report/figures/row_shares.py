"""One row's shares of a score as the pieces that lead from the base value to the score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.text import Annotation
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import AXIS, BLUE, GROUND, INK, MUTED, REASON, RED, plain, shorten

VISIBLE = 0.004
"""The share of a figure's width from which an error is drawn."""
HEAD = 0.011
"""The length of an arrow's head, as a share of the figure's width."""


@dataclass(frozen=True)
class Piece:
    """A share that is drawn: of a feature, of several together, or what is missing in the sum."""

    name: str
    share: float
    text: str = ""
    """The feature's value; empty where it is not known."""
    is_error: bool = False

    def label(self, longest: int) -> str:
        """The name of at most so many characters with its value, as matplotlib takes it."""
        name = shorten(self.name, longest)
        room = min(AXIS, REASON - len(name) - 3)
        return plain(f"{name} = {shorten(self.text, room)}" if self.text else name)

    @property
    def colour(self) -> str:
        """Red of what raises, blue of what lowers, grey of an error."""
        return MUTED if self.is_error else RED if self.share >= 0 else BLUE


@dataclass(frozen=True)
class RowShares:
    """One row's shares of a score."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    """[F]: the shares."""
    base: float
    score: float
    unit: str
    """The unit of shares and score."""
    texts: Sequence[str] = ()
    """[F]: the features' values as text, empty where one is not known; nothing where none is."""

    @property
    def order(self) -> NDArray[np.int64]:
        """The features, [F], the strongest first."""
        order: NDArray[np.int64] = np.argsort(-np.abs(self.values), kind="stable")
        return order

    @property
    def error(self) -> float:
        """The part of score less base value that the shares' sum lacks."""
        return float(self.score - self.base - self.values.sum())

    @property
    def span(self) -> float:
        """The width of all that can be drawn: from the lowest to the highest point, in the unit."""
        raised, lowered = (float(np.abs(self.values[self.values * sign > 0]).sum()) for sign in (1, -1))
        return max(raised, lowered, abs(self.score - self.base))

    def pieces(self, chosen: Sequence[int]) -> list[Piece]:
        """The shares of some features, in order."""
        texts = self.texts or [""] * len(self.names)
        return [Piece(self.names[i], float(self.values[i]), texts[i]) for i in chosen]

    def missing(self) -> list[Piece]:
        """The completeness error as a piece, where it can be seen."""
        is_visible = abs(self.error) > VISIBLE * self.span
        return [Piece("missing in the sum", self.error, is_error=True)] if is_visible else []


def signed(value: float) -> str:
    """A share with its sign in about three digits, whole from 1000 on."""
    if not value:
        return "0"
    return f"{value:+.3g}" if abs(value) < 999.5 else f"{value:+,.0f}"


def write_beside(
    axes: Axes, text: str, at: tuple[float, float], points: int, *, is_right: bool, **style: Any
) -> Annotation:
    """Write a text beside a place, so many points to its right or to its left."""
    offset, side = (points, "left") if is_right else (-points, "right")
    style |= {"ha": side, "va": "center", "color": INK}
    return axes.annotate(text, at, (offset, 0), textcoords="offset points", **style)


def draw_arrow(axes: Axes, piece: Piece, start: float, *, places: tuple[float, float], span: float) -> None:
    """Draw a piece as an arrow from `start` to `start + piece.share`, pointing right where it raises.

    Args:
        axes: the axes.
        piece: the share.
        start: the score before it.
        places: the lower and upper edge.
        span: the width of the figure in the score's unit.
    """
    low, high = places
    end, middle = start + piece.share, (low + high) / 2
    neck = end - np.sign(piece.share) * min(abs(piece.share), HEAD * span)
    corners = [(start, low), (neck, low), (end, middle), (neck, high), (start, high)]
    hatch = "////" if piece.is_error else None
    axes.add_patch(Polygon(corners, facecolor=piece.colour, edgecolor=GROUND, linewidth=0.6, hatch=hatch))
