"""shap's own plots, in the report's width and with labels that fit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import (
    AXIS,
    INK,
    MUTED,
    PLACE,
    ROW,
    RULE,
    SERIES,
    WIDTH,
    number,
    plain,
    shorten,
)
from whyport.batch.report.to_shap import load_shap

if TYPE_CHECKING:
    from shap import Explanation


LABEL_SIZE = 12
TOP, BOTTOM = 0.15, 0.65
"""Space above and below the axes, in inches."""


def bar_figure(magnitudes: "dict[str, NDArray[np.float64]]", names: Sequence[str], unit: str) -> Figure:
    """shap.plots.bar of the mean magnitudes [K] of each class, for K features."""
    shap = load_shap()
    shown = [plain(shorten(name)) for name in names]
    made = {name: shap.Explanation(values, feature_names=shown) for name, values in magnitudes.items()}
    height = len(shown) * (0.36 if len(made) == 1 else 0.2 + 0.2 * len(made)) + TOP + BOTTOM
    axes = _axes(height + 0.3 * (len(made) > 1), _label_width(shown), top=TOP + 0.3 * (len(made) > 1))
    order = -np.stack(list(magnitudes.values())).mean(axis=0)
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
        text.set_text(f"{value:.2g}")
    axes.set_ylim(0.4, len(shown) + 0.6)
    if len(made) > 1:
        axes.legend(
            axes.containers,
            [plain(shorten(name)) for name in made],
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


def scatter_figure(explanation: "Explanation", chosen: Sequence[int], unit: str) -> Figure:
    """shap.plots.scatter for some features, two side by side, coloured by the strongest interaction that shap finds."""
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
        axes.set_xlabel(shown[j], fontsize=11, color=INK)
    for axes in figure.axes:
        axes.tick_params(labelsize=9)
        axes.xaxis.get_offset_text().set_fontsize(9)
        axes.yaxis.label.set_fontsize(10)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    return figure


def waterfall_figure(explanation: "Explanation", shown: int, unit: str) -> Figure:
    """shap.plots.waterfall for one row: its strongest features one by one, and the others together."""
    shap = load_shap()
    values, data = explanation.values, explanation.data
    count = min(shown, len(values))
    order = np.argsort(-np.abs(values))
    names = [plain(shorten(name, ROW)) for name in explanation.feature_names]
    labels = [names[i] if data is None else f"{names[i]} = {number(data[i])}" for i in order[:count]]
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
    axes.annotate(
        f"base value {base:.3f}",
        (base, 0),
        (-4 if not is_right else 4, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="left" if is_right else "right",
        fontsize=11,
        color=MUTED,
    )
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


def force_figure(explanation: "Explanation") -> Figure:
    """shap.plots.force for one row, with as many labels as fit side by side."""
    from matplotlib import pyplot

    shap = load_shap()
    names = [plain(shorten(name, PLACE)) for name in explanation.feature_names]
    data = explanation.data
    shown = np.array([""] * len(names) if data is None else [number(value) for value in data])
    # shap names features with a larger share of Σ |attribution| than this: the 6 strongest, or fewer until they fit.
    shares = np.append(np.sort(np.abs(explanation.values))[::-1] / max(np.abs(explanation.values).sum(), 1e-30), 0)
    for count in range(min(6, len(names)), -1, -1):
        threshold = 2.0 if count == 0 else float(shares[count - 1] + shares[count]) / 2
        figure: Figure = shap.plots.force(
            float(explanation.base_values),
            explanation.values,
            shown,
            names,
            matplotlib=True,
            show=False,
            figsize=(WIDTH, 2.2),
            contribution_threshold=threshold,
        )
        _clean_force(figure)
        if count == 0 or not _overlap(figure):
            break
        pyplot.close(figure)
    return figure


def _clean_force(figure: Figure) -> None:
    """Remove white backgrounds, which show on a dark page, and shap's shading, and move overlapping texts apart."""
    (axes,) = figure.axes
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.62)
    for image in list(axes.images):
        image.remove()
    for line in axes.lines:
        if line.get_color() == "#F2F2F2":
            line.set(color=RULE, ydata=(line.get_ydata()[0], 0.3))  # type: ignore[index]
    texts = {text.get_text(): text for text in axes.texts if text.get_position()[1] > 0}
    for name, text in texts.items():
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


def _overlap(figure: Figure) -> bool:
    """Whether any texts of the figure overlap each other or its border."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [
        t.get_window_extent(renderer) for t in figure.axes[0].texts if t.get_text() and "arrow" not in t.get_text()
    ]
    inside = all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    return not inside or any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


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
