"""An ONNX model of somebody else's, changed to give a bundle's tensors alone, under their names."""

import onnx
from onnx import GraphProto, TensorProto, ValueInfoProto

from whyport.exporter.graphs.graph import INPUT
from whyport.exporter.graphs.names import free_name, rename, used_names
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.task import Task


def conform(model: onnx.ModelProto, scores: str, sizes: tuple[int, int], task: type[Task]) -> tuple[TensorSpec, ...]:
    """Change the model in place to give a bundle's tensors alone, under their names.

    Args:
        model: the model.
        scores: the name of its scores so far.
        sizes: numbers of features and of classes.
        task: what the scores are. Its outputs are the scores, and their softmax where there are two.

    Returns:
        What it gives now.
    """
    graph = model.graph
    features, classes = sizes
    taken = inputs_of(graph)[0].name
    others = {output.name for output in graph.output if is_float_tensor(output)} - {scores, taken}
    kept = {name: name for name in task.outputs[1:] if name in others}
    if scores == taken:
        scores = free_name(task.score, used_names(graph))
        graph.node.append(onnx.helper.make_node("Identity", [taken], [scores]))
    rename(graph, {taken: INPUT, scores: task.score, **kept}, {INPUT, *task.outputs})
    for name in task.outputs[1:]:
        if name not in kept:
            graph.node.append(onnx.helper.make_node("Softmax", [task.score], [name], axis=1))
    weights = [value for value in graph.input if value.name in _weights(graph)]
    del graph.input[:], graph.output[:], graph.value_info[:], graph.quantization_annotation[:]
    graph.input.extend([_matrix(INPUT, features), *weights])
    graph.output.extend(_matrix(name, classes) for name in task.outputs)
    return tuple(TensorSpec(name, "float32", ("N", classes)) for name in task.outputs)


def inputs_of(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs that a caller feeds; old models list their weights among them."""
    weights = _weights(graph)
    return [value for value in graph.input if value.name not in weights]


def is_float_matrix(value: ValueInfoProto) -> bool:
    """Whether the value is a float32 tensor of two axes."""
    return is_float_tensor(value) and len(value.type.tensor_type.shape.dim) == 2


def is_float_tensor(value: ValueInfoProto) -> bool:
    """Whether the value is a float32 tensor."""
    kind: int = value.type.tensor_type.elem_type
    return kind == TensorProto.FLOAT


def _weights(graph: GraphProto) -> set[str]:
    sparse = {tensor.values.name for tensor in graph.sparse_initializer}
    return sparse | {tensor.name for tensor in graph.initializer}


def _matrix(name: str, width: int) -> ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
