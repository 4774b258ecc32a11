"""The arrays that a run may write beside its shares, each with its shape."""

from whyport.runtime.bundle.layers import layers_of
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.bundle.signature import TensorSpec


def array_specs(sidecar: Sidecar) -> tuple[TensorSpec, ...]:
    """The model's outputs, and the maps of Grad-CAM where they lie over y and x."""
    layers = layers_of(sidecar)
    maps = [TensorSpec("grad_cam_map", "float32", ("N", *layer.shape)) for layer in layers[-1:]]
    return (*sidecar.signature.outputs, *maps)
