"""The logits of a classifier that gives probabilities: the tensor before its last softmax or sigmoid."""

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from whyport.exporter.graphs.names import free_name, used_names

_MOVES = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
"""Operators that only move elements."""


def before_sigmoid(graph: GraphProto, output: str) -> str | None:
    """The name of one probability a row as it would be without its last step, a sigmoid; None where that is another.

    Steps that only move elements may follow the sigmoid; they are repeated without it.
    """
    return _before(graph, output, "Sigmoid")


def before_softmax(graph: GraphProto, output: str) -> str | None:
    """The same for the probabilities of all classes, and a softmax."""
    return _before(graph, output, "Softmax")


def before_both(graph: GraphProto, output: str) -> str | None:
    """The same for 1 - p and p side by side, with the sigmoid that gives p: the logit of the second class alone."""
    makers = makers_of(graph)
    node = makers.get(without_moves(makers, output)[0])
    if node is None or node.op_type != "Concat" or node.domain or len(node.input) != 2:
        return None
    first, second = node.input
    opposite = makers.get(first)
    if opposite is None or opposite.op_type != "Sub" or opposite.input[1] != second:
        return None
    return before_sigmoid(graph, second) if _is_one(graph, makers, opposite.input[0]) else None


def _before(graph: GraphProto, output: str, operator: str) -> str | None:
    makers = makers_of(graph)
    inner, moves = without_moves(makers, output)
    node = makers.get(inner)
    if node is None or node.op_type != operator or node.domain:
        return None
    name: str = node.input[0]
    for move in reversed(moves):
        again = NodeProto()
        again.CopyFrom(move)
        again.name = ""
        again.input[0], again.output[0] = name, free_name(move.output[0], used_names(graph))
        graph.node.append(again)
        name = again.output[0]
    return name


def without_moves(makers: dict[str, NodeProto], name: str) -> tuple[str, list[NodeProto]]:
    """The tensor behind steps that only move elements, and these steps, the last one first."""
    moves: list[NodeProto] = []
    while (node := makers.get(name)) is not None and node.op_type in _MOVES and not node.domain:
        moves.append(node)
        name = node.input[0]
    return name, moves


def _is_one(graph: GraphProto, makers: dict[str, NodeProto], name: str) -> bool:
    """Whether a tensor is the constant 1."""
    held: list[TensorProto] = [tensor for tensor in graph.initializer if tensor.name == name]
    if (node := makers.get(name)) is not None and node.op_type == "Constant":
        held += [entry.t for entry in node.attribute if entry.name == "value"]
        held += [numpy_helper.from_array(np.array(entry.f)) for entry in node.attribute if entry.name == "value_float"]
    return any((numpy_helper.to_array(tensor) == 1).all() for tensor in held)


def makers_of(graph: GraphProto) -> dict[str, NodeProto]:
    return {name: node for node in graph.node for name in node.output}
