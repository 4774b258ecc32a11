"""Figures of pictures with their shares over them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import WIDTH, plain, shorten
from whyport.batch.report.figures.heat_maps import SIGNED
from whyport.batch.report.figures.plots import MAPS

KINDS = ("shares", "for", "against", "intensity")
"""The columns of an overlay: signed, positive alone, negative alone, and magnitudes."""


MOST_LAYERS = 5
"""The most layers in a line."""


def overlay_figure(
    picture: NDArray[np.uint8] | None,
    grids: Sequence[tuple[str, NDArray[np.float64]]],
    unit: str,
    *,
    is_smooth: bool = True,
) -> Figure:
    """A picture, and for each target its shares over it: signed, positive, negative, and their magnitudes.

    With two targets or more, the last row is the difference of the first two.

    Args:
        picture: [height, width, 1 or 3]; None where the input is gone.
        grids: the targets' names with their shares, [y, x].
        unit: the unit of the shares.
        is_smooth: whether shares are drawn bilinearly; segments have edges.
    """
    rows = list(grids)
    if len(rows) > 1:
        (first, one), (second, other) = rows[:2]
        rows.append((f"{first} less {second}", one - other))
    height, width = rows[0][1].shape if picture is None else picture.shape[:2]
    ground = None if picture is None else np.asarray(picture, dtype=np.float64).mean(axis=2) / 255
    cell = WIDTH / (1 + len(KINDS))
    figure = Figure(figsize=(WIDTH, len(rows) * (cell * height / width + 0.35) + 0.9), layout="constrained")
    panes = figure.subplots(len(rows), 1 + len(KINDS), squeeze=False)
    largest = max(float(np.abs(grid).max(initial=0.0)) for _, grid in rows) or 1.0
    for (name, grid), (own, *others) in zip(rows, panes, strict=True):
        _clear(own)
        own.set_title(plain(shorten(name, 16)), fontsize=10)
        if picture is not None:
            own.imshow(picture if picture.shape[2] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=255)
        drawn = (grid, grid.clip(0, None), grid.clip(None, 0), np.abs(grid))
        for axes, kind, values in zip(others, KINDS, drawn, strict=True):
            _clear(axes)
            axes.set_title(kind, fontsize=10)
            is_signed = kind != "intensity"
            image = _over(axes, ground, values, largest, (height, width), is_signed=is_signed, is_smooth=is_smooth)
            if kind == "shares":
                signed = image
    colours = figure.colorbar(signed, ax=list(panes.ravel()), location="bottom", label=f"share ({unit})", aspect=50)
    colours.outline.set_visible(False)
    return figure


def mean_figure(grid: NDArray[np.float64], unit: str) -> Figure:
    """The mean magnitudes of a picture's shares by place, [y, x]."""
    figure = Figure(figsize=(WIDTH, WIDTH * 0.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid, cmap=MAPS, vmin=0, interpolation="nearest")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    figure.colorbar(image, ax=axes, label=f"mean |share| ({unit})").outline.set_visible(False)
    return figure


def layers_figure(
    picture: NDArray[np.uint8] | None, maps: Mapping[str, Mapping[str, NDArray[np.floating[Any]]]]
) -> Figure:
    """The maps of layers over a picture, side by side: a line a target, or several where there are many layers.

    Args:
        picture: [height, width, 1 or 3]; None where the input is gone.
        maps: by target and layer, [y, x] from 0 on; drawn bilinearly, each up to its own largest value.
    """
    drawn = [(target, layer, values) for target, by_layer in maps.items() for layer, values in by_layer.items()]
    layers = len(drawn) // len(maps)
    columns = min(layers, MOST_LAYERS)
    lines = -(-layers // columns)
    height, width = drawn[-1][2].shape if picture is None else picture.shape[:2]
    ground = None if picture is None else np.asarray(picture, dtype=np.float64).mean(axis=2) / 255
    count = len(maps) * lines
    figure = Figure(figsize=(WIDTH, count * (WIDTH / columns * height / width + 0.35)), layout="constrained")
    panes = figure.subplots(count, columns, squeeze=False)
    for axes in panes.ravel():
        _clear(axes)
        axes.set_visible(False)
    for k, (target, layer, values) in enumerate(drawn):
        line, column = divmod(k % layers, columns)
        axes = panes[k // layers * lines + line, column]
        axes.set_visible(True)
        axes.set_title(plain(shorten(layer if len(maps) == 1 else f"{target}: {layer}", 100 // columns)), fontsize=9)
        cells = np.asarray(values, dtype=np.float64)
        _over(axes, ground, cells, float(cells.max(initial=0.0)) or 1.0, (height, width), is_signed=False)
    return figure


def _over(
    axes: Axes,
    ground: NDArray[np.float64] | None,
    values: NDArray[np.float64],
    largest: float,
    size: tuple[int, int],
    *,
    is_signed: bool,
    is_smooth: bool = True,
) -> AxesImage:
    height, width = size
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if ground is not None:
        axes.imshow(ground, cmap="gray", vmin=0, vmax=1, extent=extent)
    return axes.imshow(
        values,
        cmap=SIGNED if is_signed else MAPS,
        vmin=-largest if is_signed else 0,
        vmax=largest,
        alpha=0.6 if ground is not None else 1,
        extent=extent,
        interpolation="bilinear" if is_smooth else "nearest",
    )


def _clear(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for edge in axes.spines.values():
        edge.set_visible(False)
