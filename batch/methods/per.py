"""What has a share: a cell, or what cells make up: by the kind of an input a patch, a pixel or a token."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from whyport.batch.methods.segments.segmenter import CHOICE, COUNT, choice_text, segmenter_of
from whyport.batch.methods.segments.segmenter import GRID as OF_FIELDS
from whyport.runtime.bundle.constraints import Pattern
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input, TextPreparation
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import UsageError

AUTO = "auto"
CELL, FEATURE, STEP = "cell", "feature", "step"
"""An element of a sequence, a feature over all steps, or a step over all features."""
PATCH, PIXEL = "patch", "pixel"
"""A field of a grid over a picture, or one of its pixels, with all channels."""
SEGMENT = "segment"
"""A connected part of a picture, with all channels; each row has its own."""
TOKEN, WORD = "token", "word"
"""A token of a text, with all dimensions of its embedding, or a word, with all its tokens."""
PER = (AUTO, CELL, FEATURE, STEP, PATCH, PIXEL, SEGMENT, TOKEN, WORD)

OF_KIND = {
    "table": (CELL,),
    "sequence": (CELL, FEATURE, STEP),
    "image": (PATCH, PIXEL, CELL, SEGMENT),
    "text": (TOKEN, WORD),
}
"""What can have a share in each kind of input, the default first."""

SIZE = r"[1-9][0-9]{0,3}x[1-9][0-9]{0,3}"
KNOWN = Pattern(
    rf"(?:{'|'.join(PER)}|{SIZE}|{CHOICE})", f"one of {', '.join(PER)}, or HEIGHTxWIDTH, a grid over a picture"
)
"""What a run may ask for."""

GRID = 28
"""The most patches of a picture along an axis: their shares add up, and take 1/192 of its pixels' at 224 x 224."""


def kind_of(each: Input) -> str:
    """The kind of an input for its shares: a sequence of embedded tokens is a text."""
    return "text" if each.axes[0].name == TOKEN else each.prepare.kind


def grid_of(per: str) -> tuple[int, int] | None:
    """The fields of a grid along y and x, where `per` is one."""
    if re.fullmatch(SIZE, per) is None:
        return None
    height, width = map(int, per.split("x"))
    return height, width


def grid_text(shape: tuple[int, ...]) -> str:
    """A grid of so many fields along y and x, as `grid_of` reads it."""
    return "x".join(map(str, shape))


def own_per(each: Input, per: str) -> str:
    """What has a share in one input of a run: the run's choice, where the input has such, or the default."""
    kind = kind_of(each)
    known = OF_KIND[kind]
    return per if per in known or (kind == "image" and (grid_of(per) or segmenter_of(per))) else known[0]


def chosen_per(
    per: str,
    sidecar: Sidecar,
    own: tuple[int, int] | None = None,
    segments: str | None = None,
    segment_count: int | None = None,
) -> str:
    """The choice of a run that asks for `per`: of "auto", the default of its pictures or texts, where it has some.

    Args:
        per: what is asked for.
        sidecar: the bundle's sidecar.
        own: the lengths of y and x of the maps that all methods of the run have, which "auto" is then; None without.
        segments: what cuts pictures for "segment"; None for a grid.
        segment_count: about how many segments a picture has; None for the default.

    Raises UsageError where no input has such a thing.
    """
    kinds = [kind_of(each) for each in sidecar.inputs]
    if per == AUTO and own is not None:
        return grid_text(own)
    if (grid := grid_of(per)) is not None:
        _check_grid(per, grid, sidecar)
        return per
    if per == AUTO:
        return next((OF_KIND[kind][0] for kind in kinds if OF_KIND[kind][0] != CELL), CELL)
    asked, per = per, SEGMENT if segmenter_of(per) is not None else per
    if per != CELL and not any(per in OF_KIND[kind] for kind in kinds):
        owners = " or ".join(f"{kind}s" for kind, known in OF_KIND.items() if per in known)
        got = " and ".join(dict.fromkeys(f"{kind}s" for kind in kinds))
        hint = "; --players lets columns share one value" if "table" in kinds else ""
        raise UsageError(f"per: expected a model with {owners} for {per!r}, got one of {got}{hint}")
    return choice_text(segments or OF_FIELDS, segment_count or COUNT) if asked == SEGMENT else asked


def shared_axes(each: Input, per: str) -> tuple[Axis, ...]:
    """The axes that an input's shares lie along, the last one running fastest."""
    own = own_per(each, per)
    if isinstance(each.prepare, ImagePreparation):
        height, width, channels = (int(length) for length in each.tensors[0].shape[1:])
        if own == CELL:
            labels = tuple(channel.name for channel in each.columns[0].channels) or None
            return (Axis("y", height, None), Axis("x", width, None), Axis("channel", channels, labels))
        if (segmenter := segmenter_of(own)) is not None:
            return (Axis(SEGMENT, segmenter.most(height, width), None),)
        rows, columns = grid_of(own) or ((GRID, GRID) if own == PATCH else (height, width))
        return (Axis("y", min(height, rows), None), Axis("x", min(width, columns), None))
    if own in (TOKEN, WORD):
        most = each.prepare.max_length if isinstance(each.prepare, TextPreparation) else int(each.axes[0].length)
        return (Axis(own, most, None),)
    return each.axes


def unit_names(each: Input, per: str, features: Sequence[str]) -> list[str]:
    """The name of what has the share of each of an input's cells; of segments, in a picture of as many as can be.

    Args:
        each: the input.
        per: the run's choice.
        features: the names of the input's cells.
    """
    own = own_per(each, per)
    if (segmenter := segmenter_of(own)) is not None:
        height, width, channels = (int(length) for length in each.tensors[0].shape[1:])
        names = np.array(list(_places(each.name, (segmenter.most(height, width),))), dtype=object)
        return list(names[segmenter.example(height, width).ravel()].repeat(channels))
    if own in (PATCH, PIXEL) or grid_of(own):
        height, width, channels = (int(length) for length in each.tensors[0].shape[1:])
        rows, columns = (int(axis.length) for axis in shared_axes(each, per))
        y = np.arange(height) * rows // height
        x = np.arange(width) * columns // width
        names = np.array(list(_places(each.name, (rows, columns))), dtype=object)
        return list(names[(y[:, None] * columns + x).ravel().repeat(channels)])
    if own in (TOKEN, WORD):
        (axis,) = shared_axes(each, per)
        steps = int(axis.length)
        width = len(features) // steps
        return [name for name in _places(each.name, (steps,)) for _ in range(width)]
    return list(features)


def _check_grid(per: str, grid: tuple[int, int], sidecar: Sidecar) -> None:
    """Raise UsageError unless there are pictures, which have as many pixels as the grid has fields, or more."""
    sizes = [each.tensors[0].shape[1:3] for each in sidecar.inputs if kind_of(each) == "image"]
    if not sizes:
        raise UsageError(f"per: expected a model with images for {per!r}, got none")
    for size in sizes:
        if any(fields > int(length) for fields, length in zip(grid, size, strict=True)):
            raise UsageError(f"per: expected a grid of at most {grid_text(tuple(map(int, size)))} pixels, got {per!r}")


def _places(name: str, shape: tuple[int, ...]) -> Iterator[str]:
    """The names of the places along some axes: photo[0,0], photo[0,1], ..."""
    for place in np.ndindex(*shape):
        yield f"{name}[{','.join(map(str, place))}]"
