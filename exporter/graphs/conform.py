"""An ONNX model of somebody else's, changed to give a bundle's tensors alone, under their names."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto
from onnx.helper import make_node

from whyport.exporter.graphs.heads import ONE_SCORE
from whyport.exporter.graphs.names import free_name, rename, used_names
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.task import ProbabilityClassification, Task


def conform(
    model: onnx.ModelProto, scores: str, features: int, shape: tuple[int, ...], task: type[Task]
) -> tuple[TensorSpec, ...]:
    """Change the model in place to give a bundle's tensors alone, under their names.

    Args:
        model: the model.
        scores: the name of its scores so far.
        features: how many features it takes.
        shape: of the scores of one row: () or (K,).
        task: what the scores are. Where there is one score of two classes, both get theirs, as in `heads`.

    Returns:
        What it gives now.
    """
    graph = model.graph
    taken = inputs_of(graph)[0].name
    one = task.name in ONE_SCORE and shape in ((), (1,))
    targets = 2 if one else shape[0] if shape else 1
    others = {output.name for output in graph.output if is_float_tensor(output)} - {scores, taken}
    kept = {name: name for name in task.outputs[1:] if name in others and not one}
    if scores == taken:
        scores = _append(graph, "Identity", [taken])
    if not shape:
        scores = _append(graph, "Reshape", [scores, _constant(graph, np.array([-1, 1]))])
    if one and task is ProbabilityClassification:
        first = _append(graph, "Sub", [_constant(graph, np.ones(1, dtype=np.float32)), scores])
        scores = _append(graph, "Concat", [first, scores], axis=1)
    elif one:
        scores = _append(graph, "Concat", [_append(graph, "Neg", [scores]), scores], axis=1)
    rename(graph, {taken: INPUT, scores: task.score, **kept}, {INPUT, *task.outputs})
    for name in task.outputs[1:]:
        if name not in kept:
            step = make_node("Sigmoid", [task.score], [name]) if one else _softmax(task.score, name)
            graph.node.append(step)
    weights = [value for value in graph.input if value.name in _weights(graph)]
    del graph.input[:], graph.output[:], graph.value_info[:], graph.quantization_annotation[:]
    graph.input.extend([_matrix(INPUT, features), *weights])
    graph.output.extend(_matrix(name, targets) for name in task.outputs)
    return tuple(TensorSpec(name, "float32", ("N", targets)) for name in task.outputs)


def inputs_of(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs that a caller feeds; old models list their weights among them."""
    weights = _weights(graph)
    return [value for value in graph.input if value.name not in weights]


def is_float_matrix(value: ValueInfoProto) -> bool:
    """Whether the value is a float32 tensor of two axes."""
    return is_float_tensor(value) and len(value.type.tensor_type.shape.dim) == 2


def is_float_vector(value: ValueInfoProto) -> bool:
    """Whether the value is a float32 tensor of one axis."""
    return is_float_tensor(value) and len(value.type.tensor_type.shape.dim) == 1


def is_float_tensor(value: ValueInfoProto) -> bool:
    """Whether the value is a float32 tensor."""
    kind: int = value.type.tensor_type.elem_type
    return kind == TensorProto.FLOAT


def _append(graph: GraphProto, operator: str, taken: list[str], axis: int | None = None) -> str:
    """Append a step at the end; returns the new name of what it gives."""
    name = free_name(operator, used_names(graph))
    node = make_node(operator, taken, [name])
    if axis is not None:
        node.attribute.append(onnx.helper.make_attribute("axis", axis))
    graph.node.append(node)
    return name


def _softmax(scores: str, name: str) -> NodeProto:
    return make_node("Softmax", [scores], [name], axis=1)


def _constant(graph: GraphProto, value: NDArray[Any]) -> str:
    """Add a constant; returns its new name."""
    name = free_name("constant", used_names(graph))
    graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return name


def _weights(graph: GraphProto) -> set[str]:
    sparse = {tensor.values.name for tensor in graph.sparse_initializer}
    return sparse | {tensor.name for tensor in graph.initializer}


def _matrix(name: str, width: int) -> ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
