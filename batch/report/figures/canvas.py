"""Figures of one width and style, as SVG for a page or as files; the only module that uses pyplot's global state."""

import html
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from whyport.batch.report.gather.columns import day_text

# The number of characters of a name that a figure shows, by place in the figure.
TICK, PLACE, AXIS, ROW, LONGEST, REASON = LENGTHS = (16, 20, 24, 26, 30, 44)
ELLIPSIS = "…"


def shorten(name: str, longest: int = LONGEST) -> str:
    """The name, with its middle left out if it is longer: names are told apart by their ends."""
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    head = (longest - 1 + 1) // 2
    return name[:head] + ELLIPSIS + name[len(name) - (longest - 1 - head) :]


def plain(name: str) -> str:
    """The text, escaped so that matplotlib reads no mathematics in it."""
    return name.replace("$", r"\$")


def number(value: float) -> str:
    """A value in few characters."""
    return "missing" if value != value else f"{value:.4g}"


def rounded(value: float) -> str:
    """A magnitude in about two digits, whole from 100 on."""
    return f"{value:.2g}" if abs(value) < 99.5 else f"{value:,.0f}"


def make_room(axes: Axes) -> None:
    """Widen axes until none of their texts leaves them on the left or right."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    for _ in range(3):
        figure.draw_without_rendering()
        frame, boxes = axes.get_window_extent(), [text.get_window_extent() for text in axes.texts]
        left = max([frame.x0 - box.x0 for box in boxes], default=0.0)
        right = max([box.x1 - frame.x1 for box in boxes], default=0.0)
        if max(left, right) <= 0:
            return
        low, high = axes.get_xlim()
        per_pixel = (high - low) / (frame.width - max(left, 0) - max(right, 0))
        axes.set_xlim(low - max(left, 0) * per_pixel, high + max(right, 0) * per_pixel)


FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""The days of the years 1 to 9999, beyond which matplotlib draws no dates; 9999-12-31 often stands for none."""


def date_axis(axes: Axes) -> None:
    """Write the days since 1970-01-01 along the lower edge as dates, of any year."""
    low, high = axes.get_xlim()
    if low - (high - low) < FIRST_DAY or high + (high - low) > LAST_DAY:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda days, _: day_text(round(days)))
        return
    axes.xaxis_date()
    # With fewer ticks at most, there is no interval for three days or three years, and matplotlib warns.
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


WIDTH = 8.0
"""The width of every figure, in inches: the page shows all figures in one width."""

FORMATS = ("png", "svg", "eps")

INK, MUTED, RULE, GROUND = "#333333", "#707070", "#cccccc", "#fdfdfc"
RED, BLUE = "#ff0051", "#008bfb"
"""The colours of what raises and what lowers a score, shap's own: 3 to 1 and more against light and dark ground."""
ORANGE = "#c76f00"
SERIES = (BLUE, RED, "#13a57c", "#b07aa1", ORANGE, "#6a6fd8")

STYLE: Any = {
    "font.size": 12,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "svg.hashsalt": "whyport",
    "image.composite_image": False,
}

# Placeholders that a page replaces by its own colours, which differ in light and dark mode.
TOKENS = {
    "#333333": "ink",
    "#000000": "ink",
    "#707070": "muted",
    "#777777": "muted",
    "#888888": "muted",
    "#999999": "muted",
    "#bbbbbb": "rule",
    "#cccccc": "rule",
    "#fdfdfc": "ground",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the style, and restore the global state afterwards: settings, current figures, numpy's random numbers.

    shap's plots draw into pyplot's current figure, and scatter points with numpy's global generator. A fixed seed makes
    the same picture every time.
    """
    from matplotlib import pyplot

    state, interactive, known = np.random.get_state(), pyplot.isinteractive(), set(pyplot.get_fignums())  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # For columns without any value, in shap's percentiles.
            warnings.simplefilter("ignore", RuntimeWarning)
            # The page's texts are drawn by the browser's fonts, which know more characters.
            warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
        for number in set(pyplot.get_fignums()) - known:
            pyplot.close(number)
        if interactive:
            pyplot.ion()


def svg_of(figure: Figure, prefix: str, tooltips: Mapping[str, str]) -> str:
    """An SVG element for a page, with the page's colours and fonts.

    Args:
        figure: what to draw.
        prefix: the beginning of every id, so that no two figures share an id.
        tooltips: full texts by the shortened texts that the figure shows.
    """
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none"}):
        text = _saved(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"| version="[^"]*"', "", text)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    referenced = {name for pair in used for name in pair}
    # matplotlib gives an id to every element, and some ids twice.
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in referenced else "", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', text).replace("xlink:href=", "href=")
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    for colour, token in TOKENS.items():
        text = text.replace(f": {colour}", f": var(--{token})")
    # The page chooses the fonts; fonts narrower than the figure's leave more room.
    text = re.sub(r"font: (?:\w+ )*?([\d.]+px) [^;\"]*", r"font-size: \1", text)
    for short, full in tooltips.items():
        shown = html.escape(short, quote=False)
        text = text.replace(f">{shown}</text>", f">{shown}<title>{html.escape(full, quote=False)}</title></text>")
    text = re.sub(r"<svg([^>]*?) width=\"[^\"]*\"", r"<svg\1", text)
    text = re.sub(r"<svg([^>]*?) height=\"[^\"]*\"", r"<svg\1", text)
    return re.sub(r"\n\s*", "\n", text).strip()


def file_of(figure: Figure, file_format: str) -> bytes:
    """A file's content, on white, as EPS has no transparency."""
    with matplotlib.rc_context({**STYLE, "savefig.facecolor": "white"}):
        return _saved(figure, file_format)


def _saved(figure: Figure, file_format: str) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, Any] = {"metadata": {"Date": None, "Creator": None}} if file_format == "svg" else {}
    logger = logging.getLogger("matplotlib.backends.backend_ps")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        figure.savefig(buffer, format=file_format, **options)
    finally:
        logger.setLevel(level)
    return re.sub(rb"(?m)^%%CreationDate:.*\n", b"", buffer.getvalue()) if file_format == "eps" else buffer.getvalue()
