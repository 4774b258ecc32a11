"""What has a share: a cell, or what cells make up: by the kind of an input a patch, a pixel or a token."""

from collections.abc import Iterator, Sequence

import numpy as np

from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input, TextPreparation
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import UsageError

AUTO = "auto"
CELL, FEATURE, STEP = "cell", "feature", "step"
"""An element of a sequence, a feature over all steps, or a step over all features."""
PATCH, PIXEL = "patch", "pixel"
"""A field of a grid over a picture, or one of its pixels, with all channels."""
TOKEN = "token"
"""A token of a text, with all dimensions of its embedding."""
PER = (AUTO, CELL, FEATURE, STEP, PATCH, PIXEL, TOKEN)

OF_KIND = {"table": (CELL,), "sequence": (CELL, FEATURE, STEP), "image": (PATCH, PIXEL, CELL), "text": (TOKEN,)}
"""What can have a share in each kind of input, the default first."""

GRID = 28
"""The most patches of a picture along an axis: their shares add up, and take 1/192 of its pixels' at 224 x 224."""


def kind_of(each: Input) -> str:
    """The kind of an input for its shares: a sequence of embedded tokens is a text."""
    return "text" if each.axes[0].name == TOKEN else each.prepare.kind


def own_per(each: Input, per: str) -> str:
    """What has a share in one input of a run: the run's choice, where the input has such, or the default."""
    known = OF_KIND[kind_of(each)]
    return per if per in known else known[0]


def chosen_per(per: str, sidecar: Sidecar) -> str:
    """The choice of a run that asks for `per`: of "auto", the default of its pictures or texts, where it has some.

    Raises UsageError where no input has such a thing.
    """
    kinds = [kind_of(each) for each in sidecar.inputs]
    if per == AUTO:
        return next((OF_KIND[kind][0] for kind in kinds if OF_KIND[kind][0] != CELL), CELL)
    if per != CELL and not any(per in OF_KIND[kind] for kind in kinds):
        owners = " or ".join(f"{kind}s" for kind, known in OF_KIND.items() if per in known)
        got = " and ".join(dict.fromkeys(f"{kind}s" for kind in kinds))
        hint = "; --players lets columns share one value" if "table" in kinds else ""
        raise UsageError(f"per: expected a model with {owners} for {per!r}, got one of {got}{hint}")
    return per


def shared_axes(each: Input, per: str) -> tuple[Axis, ...]:
    """The axes that an input's shares lie along, the last one running fastest."""
    own = own_per(each, per)
    if isinstance(each.prepare, ImagePreparation):
        height, width, channels = (int(length) for length in each.tensors[0].shape[1:])
        if own == CELL:
            labels = tuple(channel.name for channel in each.columns[0].channels) or None
            return (Axis("y", height, None), Axis("x", width, None), Axis("channel", channels, labels))
        most = GRID if own == PATCH else max(height, width)
        return (Axis("y", min(height, most), None), Axis("x", min(width, most), None))
    if own == TOKEN:
        most = each.prepare.max_length if isinstance(each.prepare, TextPreparation) else int(each.axes[0].length)
        return (Axis(TOKEN, most, None),)
    return each.axes


def unit_names(each: Input, per: str, features: Sequence[str]) -> list[str]:
    """The name of what has the share of each of an input's cells.

    Args:
        each: the input.
        per: the run's choice.
        features: the names of the input's cells.
    """
    own = own_per(each, per)
    if own in (PATCH, PIXEL):
        height, width, channels = (int(length) for length in each.tensors[0].shape[1:])
        rows, columns = (int(axis.length) for axis in shared_axes(each, per))
        y = np.arange(height) * rows // height
        x = np.arange(width) * columns // width
        names = np.array(list(_places(each.name, (rows, columns))), dtype=object)
        return list(names[(y[:, None] * columns + x).ravel().repeat(channels)])
    if own == TOKEN:
        (axis,) = shared_axes(each, per)
        steps = int(axis.length)
        width = len(features) // steps
        return [name for name in _places(each.name, (steps,)) for _ in range(width)]
    return list(features)


def _places(name: str, shape: tuple[int, ...]) -> Iterator[str]:
    """The names of the places along some axes: photo[0,0], photo[0,1], ..."""
    for place in np.ndindex(*shape):
        yield f"{name}[{','.join(map(str, place))}]"
