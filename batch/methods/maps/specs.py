"""The arrays that a run may write beside its shares, each with its shape; the layers whose maps are taken."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from whyport.batch.methods.method import OptionValue
from whyport.batch.methods.settings import ExplainSettings, names_in
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
    layers = chosen_layers(sidecar, options.get("layer"))
    shapes = {f"layer_map.{layer.name}": layer.shape for layer in layers}
    shapes |= {name: layer.shape for layer in layers[-1:] for name in ("grad_cam_map", "one_view_map")}
    return (*sidecar.signature.outputs, *(TensorSpec(name, "float32", ("N", *shapes[name])) for name in shapes))


def with_named_layers(sidecar: Sidecar, settings: ExplainSettings) -> ExplainSettings:
    """The settings with the names of the layers in place of patterns; raises UsageError where there is no such layer.

    Args:
        sidecar: the bundle's sidecar.
        settings: the options of a run.
    """
    asked = settings.options.get("layer")
    if asked is None:
        return settings
    names = ",".join(layer.name for layer in chosen_layers(sidecar, asked))
    return replace(settings, options={**settings.options, "layer": names})


def grad_cam_grid(sidecar: Sidecar, options: Mapping[str, OptionValue]) -> tuple[int, int] | None:
    """The lengths of y and x of Grad-CAM's maps over a picture; None for maps along one axis."""
    *_, layer = [None, *chosen_layers(sidecar, options.get("layer"))]
    if layer is None or len(layer.shape) == 1:
        return None
    height, width = layer.shape
    return height, width


def cam_grid(sidecar: Sidecar, options: Mapping[str, OptionValue]) -> tuple[int, int] | None:
    """The lengths of y and x of the class activation maps; None where the bundle has none."""
    return map_shape(sidecar)


def chosen_layers(sidecar: Sidecar, names: OptionValue) -> tuple[Layer, ...]:
    """The layers of those names, or patterns, with commas, in the order in which they compute.

    The default for None; none where a bundle names no layers. Raises UsageError for an unknown name, and for a pattern
    that no name matches.
    """
    layers = layers_of(sidecar)
    if names is None:
        return (default_layer(layers),) if layers else ()
    if not layers:
        raise UsageError(f"layer: expected a model of images with convolutions, got {sidecar.name!r}, without layers")
    chosen: set[str] = set()
    for asked in names_in(str(names)):
        found = [layer.name for layer in layers if fnmatchcase(layer.name, asked) or layer.name == asked]
        if not found:
            raise UsageError(f"layer: {unknown('layer', asked, [layer.name for layer in layers])}")
        chosen.update(found)
    return tuple(layer for layer in layers if layer.name in chosen)
