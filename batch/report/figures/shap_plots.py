"""shap's own plots, in the report's width and with labels that fit."""

import warnings
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import (
    AXIS,
    BLUE,
    GROUND,
    INK,
    MUTED,
    PLACE,
    RED,
    ROW,
    RULE,
    SERIES,
    WIDTH,
    date_axis,
    make_room,
    number,
    plain,
    rounded,
    shorten,
)
from whyport.batch.report.gather.columns import day_text
from whyport.batch.report.shap_package import load_shap

if TYPE_CHECKING:
    from shap import Explanation


LABEL_SIZE = 12
EMPTY: frozenset[int] = frozenset()
TOP, BOTTOM = 0.15, 0.65
"""Space above and below the axes, in inches."""


def bar_figure(
    magnitudes: "dict[str, NDArray[np.float64]]", names: Sequence[str], unit: str, rows: Mapping[str, int] | None = None
) -> Figure:
    """shap.plots.bar of the mean magnitudes [K] of each class, for K features, ranked by the mean over all rows.

    Args:
        magnitudes: the means by class.
        names: the names of the features.
        unit: their unit.
        rows: the number of rows of each class, which its mean is over; by default as many for each.
    """
    shap = load_shap()
    shown = [plain(shorten(name)) for name in names]
    made = {name: shap.Explanation(values, feature_names=shown) for name, values in magnitudes.items()}
    height = len(shown) * (0.36 if len(made) == 1 else 0.2 + 0.2 * len(made)) + TOP + BOTTOM
    axes = _axes(height + 0.3 * (len(made) > 1), _label_width(shown), top=TOP + 0.3 * (len(made) > 1))
    weights = [1 if rows is None else rows[name] for name in magnitudes]
    order = -np.average(np.stack(list(magnitudes.values())), axis=0, weights=weights)
    shap.plots.bar(
        made if len(made) > 1 else next(iter(made.values())),
        max_display=len(shown),
        order=np.argsort(order, kind="stable"),
        show_data=False,
        ax=axes,
        show=False,
    )
    _relabel(axes, [shown[i] for i in np.argsort(order, kind="stable")], np.arange(len(shown), 0, -1))
    # shap tells classes by hatches, and rounds small values to +0.
    for container, colour in zip(axes.containers, SERIES, strict=False):
        for patch in container:
            patch.set(facecolor=colour, hatch=None, edgecolor="none")
    for text in axes.texts:
        text.set(color=INK, fontsize=10)
    values = np.concatenate([v[np.argsort(order, kind="stable")] for v in magnitudes.values()])
    for text, value in zip(axes.texts, values, strict=True):
        text.set_text(rounded(value))
    axes.set_ylim(0.4, len(shown) + 0.6)
    if len(made) > 1:
        axes.legend(
            axes.containers,
            [plain(shorten(name)) + ("" if rows is None else f" ({rows[name]:,} rows)") for name in made],
            fontsize=11,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderpad=0,
            ncols=2,
        )
    axes.set_xlabel(f"mean |attribution| ({unit})", fontsize=12)
    return _figure(axes)


def beeswarm_figure(explanation: "Explanation", unit: str) -> Figure:
    """shap.plots.beeswarm for N rows and K features."""
    shap = load_shap()
    shown = [plain(shorten(name)) for name in explanation.feature_names]
    height = len(shown) * 0.36 + TOP + BOTTOM
    axes = _axes(height, _label_width(shown))
    short = shap.Explanation(explanation.values, data=explanation.data, feature_names=shown)
    order = np.argsort(-np.abs(explanation.values).mean(axis=0), kind="stable")
    shap.plots.beeswarm(short, max_display=len(shown), order=order, ax=axes, plot_size=None, show=False, s=10)
    axes.set_xlabel(f"attribution ({unit})", fontsize=12)
    axes.tick_params("y", labelsize=LABEL_SIZE, length=0)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    return _figure(axes)


def scatter_figure(
    explanation: "Explanation", chosen: Sequence[int], unit: str, titles: Sequence[str] = (), times: Set[int] = EMPTY
) -> Figure:
    """shap.plots.scatter for some features, two side by side, coloured by the strongest interaction that shap finds.

    Args:
        explanation: N rows and K features.
        chosen: the positions of those that are drawn.
        unit: the unit of the attributions.
        titles: the features' names with their units; by default the names.
        times: the positions of features that are times, in days since 1970-01-01.
    """
    from matplotlib import pyplot

    shap = load_shap()
    shown = [plain(shorten(name, AXIS)) for name in explanation.feature_names]
    short = shap.Explanation(explanation.values, data=explanation.data, feature_names=shown)
    rows = -(-len(chosen) // 2)
    figure = pyplot.figure(figsize=(WIDTH, 3.2 * rows), layout="constrained")
    figure.get_layout_engine().set(wspace=0.08, hspace=0.06)  # type: ignore[union-attr,call-arg]
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, j in zip(grid, chosen, strict=False):
        known = np.isfinite(explanation.data[:, j])
        one = short[known]
        shap.plots.scatter(one[:, int(j)], color=one if len(shown) > 1 else SERIES[0], ax=axes, show=False, dot_size=9)
        axes.set_ylabel(f"attribution ({unit})", fontsize=11, color=INK)
        axes.set_xlabel(plain(shorten(titles[j], AXIS)) if titles else shown[j], fontsize=11, color=INK)
        if j in times:
            date_axis(axes)
    for axes in figure.axes:
        if axes not in grid and axes.get_ylabel() in {shown[j] for j in times}:
            axes.yaxis.set_major_formatter(lambda days, _: day_text(round(days)))
        axes.tick_params(labelsize=9)
        axes.xaxis.get_offset_text().set_fontsize(9)
        axes.yaxis.label.set_fontsize(10)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    return figure


def waterfall_figure(explanation: "Explanation", shown: int, unit: str) -> Figure:
    """shap.plots.waterfall for one row: its strongest features one by one, and the others together."""
    shap = load_shap()
    values, data = explanation.values, _texts(explanation)
    count = min(shown, len(values))
    order = np.argsort(-np.abs(values))
    names = [plain(shorten(name, ROW)) for name in explanation.feature_names]
    labels = [names[i] if data is None else _valued(names[i], data[i]) for i in order[:count]]
    if count < len(values):
        labels[-1] = f"{len(values) - count + 1} other features"
    # As high as shap will make it: its arrows are then drawn to scale.
    axes = _axes(count * 0.5 + 1.5, _label_width(labels), top=0.65)
    short = shap.Explanation(values, explanation.base_values, feature_names=names)
    shap.plots.waterfall(short, max_display=count, show=False)
    figure = _figure(axes)
    _relabel(axes, labels, np.arange(count - 1, -1, -1))
    _point(axes, values[order[: count - (count < len(values))]], float(explanation.base_values + values.sum()), count)
    for patch in axes.patches:
        if patch.get_alpha() == 0:  # EPS would show it
            patch.remove()
    axes.set_xlabel(f"score ({unit})", fontsize=12)
    # These replace shap's E[f(X)] and f(x), whose texts overlap when the two values are near.
    for extra in figure.axes[1:]:
        extra.set_visible(False)
    base, score = float(explanation.base_values), float(explanation.base_values + values.sum())
    is_right = score >= base
    axes.annotate(
        f"score {score:.3f}",
        (score, 1),
        (4 if not is_right else -4, 8),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if is_right else "left",
        fontsize=11,
        color=INK,
    )
    # The lowest arrow begins at the base value: its other side is free.
    is_free_right = values[order[count - 1 :]].sum() < 0
    axes.annotate(
        f"base value {base:.3f}",
        (base, 0),
        (4 if is_free_right else -4, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="left" if is_free_right else "right",
        fontsize=11,
        color=MUTED,
    )
    make_room(axes)
    return figure


def _point(axes: Axes, shares: NDArray[np.float64], score: float, rows: int) -> None:
    """Turn arrows shorter than their heads, which shap draws pointing the wrong way, into triangles.

    Args:
        axes: the axes with the arrows, the first row on top.
        shares: the shares of the features with their own rows, from the score downwards.
        score: the value where the first arrow ends.
        rows: the number of rows in the figure.
    """
    ends = score - np.cumsum([0.0, *shares])
    for arrow in axes.patches:
        if not isinstance(arrow, FancyArrow):
            continue
        corners = np.asarray(arrow.get_xy())
        y = float(corners[:, 1].mean().round())
        i = rows - 1 - int(y)
        if i < len(shares) and np.ptp(corners[:, 0]) > abs(shares[i]) * 1.001:
            arrow.set_xy([(ends[i + 1], y - 0.4), (ends[i + 1], y + 0.4), (ends[i], y)])


NAMED, DRAWN = 6, 20
"""The most features of a force plot that are named, and that are drawn one by one."""
LINE, INCHES = 0.1, 2.03
"""The height of a line of text in a force plot, in the plot's units, and the inches of a unit."""


def force_figure(explanation: "Explanation") -> Figure:
    """shap.plots.force for one row: the strongest features are named below it, each in a line of its own."""
    shap = load_shap()
    values, data = np.asarray(explanation.values), _texts(explanation)
    order = np.argsort(-np.abs(values), kind="stable")
    others = values[order[DRAWN:]]
    joined = [others[others > 0], others[others < 0]]
    shares = [*values[order[:DRAWN]], *(each.sum() for each in joined if len(each))]
    labels = [plain(shorten(explanation.feature_names[i], PLACE)) for i in order[:DRAWN]]
    if data is not None:
        labels = [_valued(label, data[i]) for label, i in zip(labels, order, strict=False)]
    named = [i for i in range(min(NAMED, len(labels))) if shares[i]]
    named += range(len(labels), len(shares))
    labels += [f"{len(each)} others together" for each in joined if len(each)]
    height = (0.25 + LINE * len(named)) * INCHES
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Where every share is 0, shap divides by their sum, and its axis has no length.
        warnings.filterwarnings("ignore", "Attempting to set identical", UserWarning)
        figure: Figure = shap.plots.force(
            float(explanation.base_values),
            np.array(shares),
            [""] * len(labels),
            labels,
            matplotlib=True,
            show=False,
            figsize=(WIDTH, height + 0.88),
            contribution_threshold=2.0,
        )
    (axes,) = figure.axes
    for own in [text for text in axes.texts if text.get_position()[1] < 0]:
        own.remove()
    for line in [line for line in axes.lines if np.min(line.get_ydata()) < 0]:
        line.remove()
    base, score = float(explanation.base_values), float(explanation.base_values + values.sum())
    raised, lowered = (float(values[values * sign > 0].sum()) for sign in (1, -1))
    low, high = min(base, score - raised), max(base, score - lowered)
    room = 0.12 * (high - low) or 1.0
    axes.set(xlim=(low - room, high + room), ylim=(-0.1 - LINE * len(named), 0.15))
    _clean_force(figure, height)
    places = _middles(score, shares)
    _name(axes, [(places[i], labels[i], RED if shares[i] > 0 else BLUE) for i in named])
    return figure


def _middles(score: float, shares: Sequence[float]) -> list[float]:
    """The middle of each share's arrow: raising ones end at the score, lowering ones begin there, largest first."""
    middles = [score] * len(shares)
    reached = {1.0: score, -1.0: score}
    for i in sorted(range(len(shares)), key=lambda i: -abs(shares[i])):
        sign = 1.0 if shares[i] >= 0 else -1.0
        middles[i] = reached[sign] - shares[i] / 2
        reached[sign] -= shares[i]
    return middles


def _name(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write labels (place, text, colour) below their arrows, a line each, towards the side with more room.

    The outermost is lowest, and the ground of a label hides the lines behind it.
    """
    middle = sum(axes.get_xlim()) / 2
    for i, (x, text, colour) in enumerate(sorted(labels, key=lambda label: abs(label[0] - middle))):
        y = -0.1 - LINE * (i + 0.5)
        axes.plot([x, x], [0, y], color=colour, linewidth=1, alpha=0.5, clip_on=False)
        axes.annotate(
            text,
            (x, y),
            (5 if x < middle else -5, 0),
            textcoords="offset points",
            ha="left" if x < middle else "right",
            va="center",
            fontsize=12,
            color=colour,
            bbox={"facecolor": GROUND, "edgecolor": "none", "pad": 1},
        )


def _clean_force(figure: Figure, height: float) -> None:
    """Remove white backgrounds, which show on a dark page, and shap's shading, and move overlapping texts apart.

    Args:
        figure: the figure.
        height: the height of its axes, in inches.
    """
    (axes,) = figure.axes
    bottom = 0.044 / figure.get_figheight()
    figure.subplots_adjust(left=0.02, right=0.98, bottom=bottom, top=bottom + height / figure.get_figheight())
    for image in list(axes.images):
        image.remove()
    for line in axes.lines:
        if line.get_color() == "#F2F2F2":
            line.set(color=RULE, ydata=(line.get_ydata()[0], 0.3))  # type: ignore[index]
    texts = {text.get_text(): text for text in axes.texts if text.get_position()[1] > 0}
    aside = 0.02 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    for name, text in texts.items():
        if name in ("higher", "lower"):
            text.set_x(texts["f(x)"].get_position()[0] + (-aside if name == "higher" else aside))
        text.set_bbox(None)
        text.set_alpha(None)
        # Above the axis with its numbers; "higher" and "lower" come above that.
        text.set_y(0.45 if name in ("higher", "lower") else 0.46 if "arrow" in name else 0.3)
    texts["f(x)"].set_text("")
    base, score = texts["base value"], next(text for text in texts.values() if text.get_fontweight() == "bold")
    base.set(color=MUTED, fontsize=10)
    figure.canvas.draw()
    if base.get_window_extent().padded(4).overlaps(score.get_window_extent()):
        is_left = base.get_position()[0] < score.get_position()[0]
        base.set_horizontalalignment("right" if is_left else "left")
        score.set_horizontalalignment("left" if is_left else "right")


def _texts(explanation: "Explanation") -> list[str] | None:
    """The values of one row as they are shown; None where none is known."""
    if explanation.display_data is not None:
        return [plain(shorten(str(text), AXIS)) for text in explanation.display_data]
    return None if explanation.data is None else [number(value) for value in explanation.data]


def _valued(name: str, text: str) -> str:
    """A feature's name with its value, where that is known."""
    return f"{name} = {text}" if text else name


def _axes(height: float, left: float, top: float = TOP) -> Axes:
    """Axes in a new current figure of the report's width, with `left` inches for labels on the left."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(WIDTH, height))
    edge = min(left + 0.25, WIDTH / 2) / WIDTH
    return figure.add_axes((edge, BOTTOM / height, 1 - edge - 0.02, 1 - (BOTTOM + top) / height))


def _label_width(labels: Sequence[str]) -> float:
    """The width of the widest label, in inches."""
    return (
        max((TextPath((0, 0), label, size=LABEL_SIZE).get_extents().width for label in labels if label), default=0) / 72
    )


def _relabel(axes: Axes, labels: Sequence[str], places: NDArray[Any]) -> None:
    """Draw one label per row: shap writes each label twice, and takes what follows a "=" in a name for a value."""
    axes.set_yticks(list(places), list(labels), fontsize=LABEL_SIZE, color=INK)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure
