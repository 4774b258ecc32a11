"""The section on pictures: the chosen rows with their shares over them, and what counts where over all rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import Block as InputBlock
from whyport.batch.methods.settings import names_in
from whyport.batch.report.figures.canvas import shorten
from whyport.batch.report.figures.overlays import layers_figure, mean_figure, overlay_figure
from whyport.batch.report.gather.cases import RowCase
from whyport.batch.report.gather.collect import TargetAttributions, pooled_magnitude
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Data, Heading, Picture, Section
from whyport.batch.report.sections.words import share_unit
from whyport.runtime.bundle.row import row_size

NAMED = 5


def pictures_section(view: View) -> Section | None:
    """The pictures of the chosen rows; None for a model or a run without shares of pictures."""
    found: list[Block] = []
    for block in view.run.layout.positions.pictures:
        for method in dict.fromkeys(each.method for each in view.collected.attributions):
            own = [each for each in view.collected.attributions if each.method == method]
            found.append(_mean(view, block, own))
        for i, case in enumerate(view.cases):
            if case.explanations:
                found += [Heading(f"{block.input}, row {case.choice.row:,}"), _overlay(view, block, i, case)]
                found += _layers(view, block, i, case)
    for block in view.run.layout.positions.segmented:
        for i, case in enumerate(view.cases):
            if case.explanations and block.input in case.segments:
                found += [Heading(f"{block.input}, row {case.choice.row:,}"), _segments(view, block, i, case)]
    if not found:
        return None
    lead = "The pictures as the model saw them, and which places raise or lower each score."
    return Section("pictures", "Pictures", lead, tuple(found))


def _mean(view: View, block: InputBlock, explained: Sequence[TargetAttributions]) -> Picture:
    grid, first = _grid(block, pooled_magnitude(explained)), explained[0]
    unit = share_unit(view, first.method, first.target)
    return Picture(
        f"mean-{first.method}-{block.input}",
        f"Mean |attribution| in {shorten(block.input)} by place, {first.method}",
        "Every field is a mean over all explained rows, exact.",
        f"Strongest in {block.input}: {_strongest(grid)}.",
        lambda: mean_figure(grid, unit),
        data=lambda: by_place({"mean |attribution|": grid}),
    )


def _overlay(view: View, block: InputBlock, i: int, case: RowCase) -> Picture:
    grids = [(each.target, _grid(block, each.values)) for each in case.explanations]
    how = f"The shares of {' x '.join(map(str, grids[0][1].shape))} fields are drawn smoothly between their centres."
    strongest = " ".join(f"{target}: {_strongest(grid)}." for target, grid in grids)
    return _drawn(view, block, i, case, grids, how, strongest)


def _segments(view: View, block: InputBlock, i: int, case: RowCase) -> Picture:
    labels = case.segments[block.input]
    count = int(labels.max()) + 1
    shares = [(each.target, block.of(each.values[: block.stop])[:count]) for each in case.explanations]
    how = f"Every pixel has the share of its segment, of {count}: shares are the segments', and not the pixels'."
    named = [
        (
            target,
            ", ".join(f"{block.input}[{k}] {own[k]:+.3g}" for k in np.argsort(-np.abs(own), kind="stable")[:NAMED]),
        )
        for target, own in shares
    ]
    strongest = " ".join(f"{target}: strongest {text}." for target, text in named)
    grids = [(target, own[labels]) for target, own in shares]
    return _drawn(view, block, i, case, grids, how, strongest, is_smooth=False)


def _drawn(
    view: View,
    block: InputBlock,
    i: int,
    case: RowCase,
    grids: Sequence[tuple[str, NDArray[np.float64]]],
    how: str,
    strongest: str,
    *,
    is_smooth: bool = True,
) -> Picture:
    """A row's picture with the shares [y, x] of each target over it; `how` says in words how they are drawn."""
    first = case.explanations[0]
    unit, picture = share_unit(view, first.method, first.target), _pixels(view, block, case)
    seen = "The input is gone, so the shares are drawn alone" if picture is None else "The picture as the model saw it"
    last = "; the last line is the difference of the first two" if len(grids) > 1 else ""
    return Picture(
        f"picture-{block.input}-{i}",
        f"What speaks for and against in {shorten(block.input)}, row {case.choice.row:,}, {first.method}",
        f"{seen}. Beside it are all shares, what raises the score, what lowers it, and their magnitudes, by target"
        f"{last}. Red raises, blue lowers. {how}",
        strongest,
        lambda: overlay_figure(picture, grids, unit, is_smooth=is_smooth),
        tuple(target for target, _ in grids),
        of_rows=True,
        data=lambda: by_place({f"attribution for {target}": grid for target, grid in grids}),
    )


def _layers(view: View, block: InputBlock, i: int, case: RowCase) -> list[Picture]:
    """The maps of a network's layers side by side, and that of one view; none where the run has one map alone."""
    own = [each for each in case.explanations if each.layers]
    if not own:
        return []
    options = view.run.settings.explain_settings.of_method(own[0].method).options
    named = [] if options["layer"] is None else names_in(options["layer"])[-1:]
    last = ", ".join([*named, *([f"{options['augment']} views"] if options["augment"] else [])])
    maps: dict[str, dict[str, NDArray[np.floating[Any]]]] = {
        each.target: {**each.layers, last: _grid(block, each.values)} for each in own
    }
    picture = _pixels(view, block, case)
    return [
        Picture(
            f"layers-{block.input}-{i}",
            f"Where each layer found evidence in {shorten(block.input)}, row {case.choice.row:,}, {own[0].method}",
            "The layers in the order in which they compute, from the left; of several views, the map of the picture "
            "alone stands before their mean. Each map runs from 0 to its own largest value, and is drawn smoothly.",
            f"{last} has {' x '.join(map(str, maps[own[0].target][last].shape))} places.",
            lambda: layers_figure(picture, maps),
            tuple(maps),
            of_rows=True,
            data=lambda: _of_layers(maps),
        )
    ]


def by_place(grids: Mapping[str, NDArray[np.floating[Any]]]) -> dict[str, NDArray[Any]]:
    """Values by place, [y, x] each, as columns by name behind those of the places."""
    y, x = np.indices(next(iter(grids.values())).shape)
    return {"y": y.ravel(), "x": x.ravel(), **{name: grid.ravel() for name, grid in grids.items()}}


def _of_layers(maps: Mapping[str, Mapping[str, NDArray[np.floating[Any]]]]) -> Data:
    """The maps [y, x] of every target and layer, one below the other."""
    found = [(target, layer, by_place({"value": values})) for target in maps for layer, values in maps[target].items()]
    return {
        "target": [target for target, _, own in found for _ in own["value"]],
        "layer": [layer for _, layer, own in found for _ in own["value"]],
        **{name: np.concatenate([own[name] for *_, own in found]) for name in ("y", "x", "value")},
    }


def _grid(block: InputBlock, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares by place, [y, x]: sums over the channels where each has its own."""
    cells: NDArray[np.float64] = block.of(values[: block.stop]).reshape(*block.shape[:2], -1).sum(axis=2)
    return cells


def _pixels(view: View, block: InputBlock, case: RowCase) -> NDArray[np.uint8] | None:
    """The picture that a row holds, [height, width, channels]; None where its input is gone."""
    start = 0
    for each in view.bundle.sidecar.inputs:
        if each.name == block.input:
            values = case.features[start : start + row_size(each)]
            shape = [int(length) for length in each.tensors[0].shape[1:]]
            return values.astype(np.uint8).reshape(shape) if np.isfinite(values).all() else None
        start += row_size(each)
    return None


def _strongest(grid: NDArray[np.float64]) -> str:
    order = np.argsort(-np.abs(grid), axis=None, kind="stable")[:NAMED]
    places = [divmod(int(k), grid.shape[1]) for k in order]
    return ", ".join(f"y {y}, x {x} {grid[y, x]:.3g}" for y, x in places)
