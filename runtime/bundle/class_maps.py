"""cam.onnx: the maps of every target whose means over y and x, with a bias, are the scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.sidecar import CAM_MODEL, Graph, Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError

CAM = "cam"
"""The graph's kind, the tensor that it gives, and the capability that it serves."""
BIAS = "bias."
"""What stands before a target's name in the figure with its bias."""
AXES = 4
"""The axes of the maps: row, target, y, x."""


def cam_graph(sidecar: Sidecar) -> Graph | None:
    """The graph, where the bundle can serve class activation maps."""
    capability = sidecar.capabilities.get(CAM)
    return sidecar.graph(CAM) if capability is not None and capability.available else None


def map_shape(sidecar: Sidecar) -> tuple[int, int] | None:
    """The lengths of the maps' axes, y and x; None where the bundle has no maps."""
    graph = cam_graph(sidecar)
    if graph is None:
        return None
    _, height, width = graph.signature.output(CAM).row_shape()
    return height, width


def figures_of(targets: Sequence[str], bias: NDArray[np.float64]) -> dict[str, float]:
    """The biases [K] as figures of the graph: `bias.<target>`."""
    return {f"{BIAS}{name}": float(value) for name, value in zip(targets, bias, strict=True)}


def bias_of(graph: Graph, targets: Sequence[str]) -> NDArray[np.float64]:
    """The biases of the targets, [K]."""
    return np.array([graph.figures[f"{BIAS}{name}"] for name in targets])


def mean_scores(maps: NDArray[np.float32], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores [N, K] of maps [N, K, y, x], in float64."""
    scores: NDArray[np.float64] = maps.mean(axis=(2, 3), dtype=np.float64) + bias
    return scores


def check_cam(sidecar: Sidecar, targets: Sequence[str], score: TensorSpec) -> None:
    """Raise BundleFormatError unless the graph is there as the capability says, with its tensors and biases.

    Args:
        sidecar: the bundle's sidecar.
        targets: the targets' names.
        score: the tensor of the scores.
    """
    capability = sidecar.capabilities.get(CAM)
    if capability is None or not capability.available:
        return
    graph = sidecar.graph(CAM)
    if graph is None:
        raise BundleFormatError(f"$.graphs: expected one of kind {CAM!r}, as the capabilities say, got none")
    if graph.inputs != sidecar.signature.inputs:
        raise BundleFormatError(f"$.graphs: expected the tensors of the model's inputs of {graph.file}, got others")
    outputs = {spec.name: spec for spec in graph.outputs}
    maps = outputs.get(CAM)
    if score not in graph.outputs or maps is None or not _are_maps(maps, len(targets)):
        wanted = f"{score.name} float32 [N, {len(targets)}] and {CAM} float32 [N, {len(targets)}, y, x]"
        raise BundleFormatError(f"$.graphs: expected the outputs {wanted} of {graph.file}")
    _check_biases(graph.figures, targets)


def _are_maps(spec: TensorSpec, targets: int) -> bool:
    fixed = all(isinstance(length, int) and length > 0 for length in spec.shape[1:])
    return spec.dtype == "float32" and len(spec.shape) == AXES and spec.shape[1] == targets and fixed


def _check_biases(figures: Mapping[str, float], targets: Sequence[str]) -> None:
    for name in targets:
        if f"{BIAS}{name}" not in figures:
            raise BundleFormatError(f"$.graphs: expected a figure {BIAS + name!r} of {CAM_MODEL}, got none")
