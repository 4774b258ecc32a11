"""Weights stored with fewer bits: ONNX Runtime widens them once, as it loads the file, and computes in float32."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

WEIGHT_PLACES = {
    "MatMul": (0, 1),
    "Gemm": (0, 1),
    "Conv": (1,),
    "ConvTranspose": (1,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
    "Gather": (0,),
}
"""By operator: which of its inputs are weights, where they are constants."""

VIEWS = ("Concat", "Identity", "Reshape", "Slice", "Squeeze", "Split", "Transpose", "Unsqueeze")
"""Operators that move a constant's values and change none."""

FEWEST_VALUES = 64
"""The number of values below which a constant stays as it is."""

SMALL_PART = 8
"""A weight of less than this part of the median weight's values is not stored as int8: it is small, and the first
layer's, on which all others depend, often is one."""

Stored = tuple[list[TensorProto], list[NodeProto]]
"""The constants that stand in a file for one, and the operators that make it of them."""
Store = Callable[[str, NDArray[np.float32]], Stored | None]


def store_float16(name: str, values: NDArray[np.float32]) -> Stored | None:
    """A weight as float16, of half the size; None where float16 cannot hold one of its values."""
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        return None
    tensor = numpy_helper.from_array(half, f"{name}.float16")
    return [tensor], [helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT)]


def store_int8(name: str, values: NDArray[np.float32]) -> Stored | None:
    """A weight as int8 with a float32 for each slice along one axis: the axis that loses least. None for a vector."""
    choices = [_slices(values, axis) for axis in range(values.ndim) if values.ndim > 1]
    small = [(levels, scale) for levels, scale in choices if scale.size * 4 <= values.size]
    if not small:
        return None
    levels, scale = min(small, key=lambda each: float(np.square(each[0] * each[1] - values).sum()))
    tensors = [
        numpy_helper.from_array(levels.astype(np.int8), f"{name}.int8"),
        numpy_helper.from_array(scale, f"{name}.scale"),
    ]
    wide = f"{name}.levels"
    nodes = [
        helper.make_node("Cast", [tensors[0].name], [wide], to=TensorProto.FLOAT),
        helper.make_node("Mul", [wide, tensors[1].name], [name]),
    ]
    return tensors, nodes


def with_stored(model: onnx.ModelProto, store: Store) -> onnx.ModelProto | None:
    """The model with its float32 weights stored in another way; None where it has none that can be.

    Args:
        model: the graph in full size.
        store: `store_float16` of all weights, or `store_int8` of the large ones.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    names = weight_names(graph) if store is store_float16 else large_weights(graph)
    taken = {name for node in graph.node for name in node.output}
    kept, widened = list[TensorProto](), list[NodeProto]()
    for tensor in graph.initializer:
        stored = store(tensor.name, numpy_helper.to_array(tensor)) if tensor.name in names else None
        if stored is None or taken & {each.name for each in stored[0]}:
            kept.append(tensor)
        else:
            kept += stored[0]
            widened += stored[1]
    if not widened:
        return None
    nodes = list(graph.node)
    made = helper.make_graph(
        [*widened, *nodes], graph.name, list(graph.input), list(graph.output), kept, value_info=list(graph.value_info)
    )
    graph.CopyFrom(made)
    return found


def weight_names(graph: onnx.GraphProto) -> set[str]:
    """The names of the float32 constants that an operator takes as its weights, as they are or by way of views."""
    origins = {
        tensor.name: {tensor.name}
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= FEWEST_VALUES
    }
    found: set[str] = set()
    for node in graph.node:
        if node.op_type in VIEWS:
            moved = set[str]().union(*(origins.get(name, ()) for name in node.input))
            origins.update(dict.fromkeys(node.output, moved))
        for name in _weights_of(node):
            found |= origins.get(name, set())
    return found


def large_weights(graph: onnx.GraphProto) -> set[str]:
    """The names of the weights that hold most of the values."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    names = weight_names(graph)
    fewest = float(np.median([sizes[name] for name in names] or [0])) / SMALL_PART
    return {name for name in names if sizes[name] >= fewest}


def _weights_of(node: NodeProto) -> Iterator[str]:
    for place in WEIGHT_PLACES.get(node.op_type, ()):
        if place < len(node.input):
            yield node.input[place]


def _slices(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whole numbers from -127 to 127, and by slice along an axis the number that each counts."""
    others: Sequence[int] = [i for i in range(values.ndim) if i != axis]
    scale = np.abs(values).max(axis=tuple(others), keepdims=True) / np.float32(127)
    scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
    return np.rint(values / scale), scale
