"""Simplifications of ONNX graphs that ONNX Runtime's own leave out; no number changes by them."""

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper, numpy_helper

from whyport.exporter.graphs.pruning import names_read, prune

Constants = dict[str, NDArray[np.int64]]
"""Whole numbers by the names of the constants that hold them."""

VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
"""Operators that keep a tensor's values in their order."""
SMALL = 16
"""The most elements of a shape, of axes or of places in a tensor."""


def simplify(model: onnx.ModelProto) -> None:
    """Change a model in place: fewer nodes, and each constant once.

    Args:
        model: with its weights among the initialisers.
    """
    graph = model.graph
    constants = _constants(graph)
    _walk_backwards(graph, constants)
    _fix_shapes(model, constants)
    _join_views(graph, constants)
    _share_constants(graph)
    prune(graph)


def _walk_backwards(graph: GraphProto, constants: Constants) -> None:
    """Let a Scan walk backwards where it walks over flipped tensors, and give what it makes the other way round."""
    made, readers = _producers(graph), _readers(graph)
    flips = {node.input[0]: node for node in graph.node if _flips(node, constants)}
    for scan in (node for node in graph.node if node.op_type == "Scan"):
        steps = next(attribute.i for attribute in scan.attribute if attribute.name == "num_scan_inputs")
        first = len(scan.input) - steps
        directions = _directions(scan, "scan_input_directions", steps)
        for i, name in enumerate(scan.input[first:]):
            flip = made.get(name)
            if flip is not None and _flips(flip, constants):
                scan.input[first + i] = flip.input[0]
                directions.ints[i] ^= 1
        directions = _directions(scan, "scan_output_directions", len(scan.output) - first)
        for i, name in enumerate(scan.output[first:]):
            if readers[name] == 1 and name in flips:
                # The two names change places, so that whatever reads the flipped tensor reads the Scan's.
                flip = flips[name]
                scan.output[first + i], flip.input[0], flip.output[0] = flip.output[0], flip.output[0], name
                directions.ints[i] ^= 1


def _flips(node: NodeProto, constants: Constants) -> bool:
    """Whether a node turns its input's first axis round."""
    if node.op_type != "Slice" or len(node.input) != 5:
        return False
    start, end, axis, step = (constants.get(name, np.zeros(0)).tolist() for name in node.input[1:])
    return (start, axis, step) == ([-1], [0], [-1]) and len(end) == 1 and end[0] < -np.iinfo(np.int32).max


def _directions(scan: NodeProto, name: str, count: int) -> onnx.AttributeProto:
    """The attribute with the directions of a Scan; without one, it walks forwards."""
    if name not in {attribute.name for attribute in scan.attribute}:
        scan.attribute.append(helper.make_attribute(name, [0] * count))
    found: onnx.AttributeProto = next(attribute for attribute in scan.attribute if attribute.name == name)
    return found


def _fix_shapes(model: onnx.ModelProto, constants: Constants) -> None:
    """Let a Reshape find by itself the one size that its shape takes from another tensor."""
    graph = model.graph
    made, single = _producers(graph), _single_numbers(model)
    for node in graph.node:
        shape = made.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is None or shape.op_type != "Concat":
            continue
        unknown = [name for name in shape.input if name not in constants]
        sizes = np.concatenate([constants.get(name, np.array([-1])) for name in shape.input])
        if len(unknown) == 1 and unknown[0] in single and (sizes < 1).sum() == 1:
            node.input[1] = _add(graph, constants, sizes)


def _single_numbers(model: onnx.ModelProto) -> set[str]:
    """The names of the tensors of shape [1]."""
    values = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in values}
    return {name for name, shape in shapes.items() if shape == [1]}


def _join_views(graph: GraphProto, constants: Constants) -> None:
    """Let views of views be views of what is behind them."""
    made = _producers(graph)
    for node in graph.node:
        behind = made.get(node.input[0]) if node.op_type in VIEWS else None
        while node.op_type == "Reshape" and behind is not None and behind.op_type in VIEWS:
            if not (constants.get(node.input[1], np.zeros(1)) != 0).all():
                break  # it copies a size of its input
            node.input[0] = behind.input[0]
            behind = made.get(node.input[0])
        if node.op_type != "Unsqueeze" or behind is None or behind.op_type not in ("Unsqueeze", "Reshape"):
            continue
        outer, inner = (constants.get(name) for name in (node.input[1], behind.input[1]))
        if outer is None or inner is None or (outer < 0).any():
            continue
        if behind.op_type == "Reshape" and (inner != 0).all():
            node.op_type = "Reshape"
            node.input[:] = [behind.input[0], _add(graph, constants, _with_ones(inner, outer))]
        elif behind.op_type == "Unsqueeze" and (inner >= 0).all():
            places = np.zeros(SMALL, bool)
            places[outer] = True
            # The inner axes go to the places that the outer ones leave free.
            axes = np.sort(np.concatenate([outer, np.flatnonzero(~places)[inner]]))
            node.input[:] = [behind.input[0], _add(graph, constants, axes)]


def _with_ones(shape: NDArray[np.int64], axes: NDArray[np.int64]) -> NDArray[np.int64]:
    for axis in np.sort(axes):
        shape = np.insert(shape, axis, 1)
    return shape


def _share_constants(graph: GraphProto) -> None:
    """Leave each constant once, whatever the number of its names."""
    names: dict[tuple[object, ...], str] = {}
    first = {
        weight.name: names.setdefault((weight.data_type, *weight.dims, _content(weight)), weight.name)
        for weight in graph.initializer
    }
    for node in graph.node:
        node.input[:] = [first.get(name, name) for name in node.input]


def _content(weight: onnx.TensorProto) -> bytes:
    content: bytes = numpy_helper.to_array(weight).tobytes()
    return content


def _constants(graph: GraphProto) -> Constants:
    small = (
        weight
        for weight in graph.initializer
        if weight.data_type == onnx.TensorProto.INT64 and len(weight.dims) == 1 and weight.dims[0] <= SMALL
    )
    return {weight.name: numpy_helper.to_array(weight) for weight in small}


def _add(graph: GraphProto, constants: Constants, value: NDArray[np.int64]) -> str:
    """The name of a new constant."""
    name = next(name for i in range(len(constants) + 1) if (name := f"numbers.{i}") not in constants)
    constants[name] = value
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _producers(graph: GraphProto) -> dict[str, NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def _readers(graph: GraphProto) -> Counter[str]:
    """How many nodes read each tensor; the graph reads its outputs."""
    return Counter([*(name for node in graph.node for name in names_read(node)), *(out.name for out in graph.output)])
