"""The tensors of explain.onnx and gradient.onnx beside the model's own, and how far each may differ."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Capability, Graph, Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError

TARGET_INDEX = TensorSpec("target_index", "int64", ("N",))
"""The target to explain for each row; below 0, the one that the task explains by default."""

EXPLAINED_TARGET = TensorSpec("explained_target", "int64", ("N",))
SCORE = TensorSpec("score", "float32", ("N",))
BASE_VALUE = TensorSpec("base_value", "float32", ("N",))
COMPLETENESS_ERROR = TensorSpec("completeness_error", "float32", ("N",))
ATTRIBUTION, GRADIENT = "attribution", "gradient"

OLD_NAMES = {TARGET_INDEX.name: "class_index", EXPLAINED_TARGET.name: "explained_class"}
"""The names in bundles of version 2."""

TOLERANCE_OF = {
    EXPLAINED_TARGET.name: "exact",
    ATTRIBUTION: "attributions",
    COMPLETENESS_ERROR.name: "completeness",
    GRADIENT: "gradients",
    CAM: "maps",
}
"""The sidecar's tolerance for each output; every other output has `outputs`."""

KINDS = {EXPLAIN_MODEL: "explain", GRADIENT_MODEL: "gradient"}
"""The kind of each graph that explains, by its file."""

PIXEL_AXES = 4
"""The axes of pixels: row, y, x, channel."""

NOT_THERE = Capability(available=False, reason="it was made without")
"""The capability of a bundle that does not name it."""


def tolerance_of(output: str, tolerances: Mapping[str, float]) -> float:
    """The tolerance for an output, see `TOLERANCE_OF`."""
    kind = TOLERANCE_OF.get(output, "outputs")
    # A bundle need not have one of its own for maps.
    return 0.0 if kind == "exact" else tolerances.get(kind, tolerances["outputs"])


def capability_of(file: str) -> str:
    """The sidecar's name for the capability that a graph serves."""
    return f"{KINDS[file]}-onnx"


def reasons_graphs(sidecar: Sidecar) -> dict[str, Graph]:
    """The graphs of a bundle that explain, by file."""
    found = {file: sidecar.graph(kind) for file, kind in KINDS.items()}
    return {file: graph for file, graph in found.items() if graph is not None}


def reasons_inputs(tensors: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """What a graph that explains takes for the tensors of model.onnx: the same, but pixels are float32.

    A path between two pictures has values that are no whole numbers.
    """
    return tuple(replace(spec, dtype="float32") if is_pixels(spec) else spec for spec in tensors)


def is_pixels(spec: TensorSpec) -> bool:
    """Whether a tensor of a model holds pixels: a mask of steps has fewer axes."""
    return spec.dtype == "uint8" and len(spec.shape) == PIXEL_AXES


def reasons_outputs(file: str, scores: Sequence[TensorSpec], players: int) -> tuple[TensorSpec, ...]:
    """The outputs of a graph that explains, in order.

    Args:
        file: the graph's file.
        scores: the task's own outputs, as model.onnx gives them.
        players: the number of players that share the score.
    """
    common = (*scores, EXPLAINED_TARGET, SCORE)
    shares = TensorSpec(ATTRIBUTION if file == EXPLAIN_MODEL else GRADIENT, "float32", ("N", players))
    return (*common, BASE_VALUE, shares, COMPLETENESS_ERROR) if file == EXPLAIN_MODEL else (*common, shares)


def named_as_in(graph: Graph, spec: TensorSpec) -> TensorSpec:
    """One of the tensors above under the name that the graph has for it; raises BundleFormatError if it has none."""
    names = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    for name in (spec.name, OLD_NAMES.get(spec.name)):
        if name in names:
            return TensorSpec(str(name), spec.dtype, spec.shape)
    raise BundleFormatError(f"$.graphs: expected a tensor {spec.name!r} of {graph.file}")
