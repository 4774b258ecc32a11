"""Layers of a network whose feature maps model.pt gives: their names, and the shapes of their maps."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from whyport.runtime.bundle.sidecar import Sidecar

CHANNELS = "channels"
SPLIT = "features"
"""The name of the maps at which a network's author has split it."""
AXES = {1: ("position",), 2: ("y", "x")}
"""The names of the axes of maps, by how many there are behind the channels."""
FIGURE = re.compile(r"maps\.(.+)\.(channels|position|y|x)")


@dataclass(frozen=True)
class Layer:
    """One layer of a network."""

    name: str
    channels: int
    shape: tuple[int, ...]
    """The lengths of the maps' axes behind the channels: positions, or y and x."""


def figures_of(layers: Iterable[Layer]) -> dict[str, float]:
    """The layers as figures of model.pt, in their order: `maps.<layer>.channels`, and one an axis."""
    return {
        f"maps.{layer.name}.{key}": float(value)
        for layer in layers
        for key, value in zip((CHANNELS, *AXES[len(layer.shape)]), (layer.channels, *layer.shape), strict=True)
    }


def default_layer(layers: Sequence[Layer]) -> Layer:
    """The layer whose maps are taken unless others are asked for: the network's own split, or the last one."""
    return next((layer for layer in layers if layer.name == SPLIT), layers[-1])


def layers_of(sidecar: Sidecar) -> tuple[Layer, ...]:
    """The layers that a bundle's model.pt names, the last one last; none where its maps are not described."""
    graph = sidecar.graph("torch")
    found: dict[str, dict[str, int]] = {}
    for key, value in ({} if graph is None else graph.figures).items():
        if match := FIGURE.fullmatch(key):
            found.setdefault(match[1], {})[match[2]] = int(value)
    return tuple(
        Layer(name, sizes.pop(CHANNELS, 0), tuple(sizes.values())) for name, sizes in found.items() if len(sizes) > 1
    )
