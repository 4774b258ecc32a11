"""The arrays that a run may write beside its shares, each with its shape; the layer whose maps are taken."""

from collections.abc import Mapping

from whyport.batch.methods.method import OptionValue
from whyport.runtime.bundle.class_maps import map_shape
from whyport.runtime.bundle.layers import Layer, default_layer, layers_of
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import UsageError, unknown


def array_specs(sidecar: Sidecar, options: Mapping[str, OptionValue]) -> tuple[TensorSpec, ...]:
    """The model's outputs, and the maps of Grad-CAM where they lie over y and x.

    Args:
        sidecar: the bundle's sidecar.
        options: the given options of the methods, by name.

    Raises:
        UsageError: there is no such layer.
    """
    layer = chosen_layer(sidecar, options.get("layer"))
    maps = () if layer is None else (TensorSpec("grad_cam_map", "float32", ("N", *layer.shape)),)
    return (*sidecar.signature.outputs, *maps)


def grad_cam_grid(sidecar: Sidecar, options: Mapping[str, OptionValue]) -> tuple[int, int] | None:
    """The lengths of y and x of Grad-CAM's maps over a picture; None for maps along one axis."""
    layer = chosen_layer(sidecar, options.get("layer"))
    if layer is None or len(layer.shape) == 1:
        return None
    height, width = layer.shape
    return height, width


def cam_grid(sidecar: Sidecar, options: Mapping[str, OptionValue]) -> tuple[int, int] | None:
    """The lengths of y and x of the class activation maps; None where the bundle has none."""
    return map_shape(sidecar)


def chosen_layer(sidecar: Sidecar, name: OptionValue) -> Layer | None:
    """The layer of that name, or the default for None; None where a bundle names no layers.

    Raises UsageError for an unknown name.
    """
    layers = {layer.name: layer for layer in layers_of(sidecar)}
    if name is None:
        return default_layer(tuple(layers.values())) if layers else None
    if not layers:
        raise UsageError(f"layer: expected a model of images with convolutions, got {sidecar.name!r}, without layers")
    if name not in layers:
        raise UsageError(f"layer: {unknown('layer', str(name), layers)}")
    return layers[str(name)]
