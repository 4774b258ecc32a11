"""Operators of scikit-learn's converter, domain ai.onnx.ml, written as plain ones.

The formulas are those of the operators' specification, https://onnx.ai/onnx/operators/index.html#ai-onnx-ml.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto
from onnx.helper import make_node

from whyport.exporter.graphs.conform import is_float_tensor
from whyport.exporter.graphs.names import free_name, used_names
from whyport.exporter.graphs.onnx import default_opset
from whyport.exporter.graphs.pruning import ancestors, prune
from whyport.exporter.networks.operators import Attributes

DOMAIN = "ai.onnx.ml"
AXES_ARE_OPERANDS = 18
"""The operator set from which reductions take their axes as an operand."""
SMALLEST = np.float32(1e-30)
"""A row of zeros is divided by this, and stays one."""


def lower(model: onnx.ModelProto, scores: str) -> onnx.ModelProto:
    """The model with plain operators where there are some; the model itself where it has none to write anew.

    Args:
        model: the model; it is not changed.
        scores: the output that is wanted. Others stay where they are float32 tensors, and labels go.
    """
    wanted = ancestors(model.graph, [scores])
    if not any(node.domain == DOMAIN and node.op_type in _LOWERINGS for node in wanted):
        return model
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    graph = lowered.graph
    outputs = [value for value in graph.output if value.name == scores or is_float_tensor(value)]
    del graph.output[:]
    graph.output.extend(outputs)
    prune(graph)
    writer = _Writer(graph, default_opset(model))
    for node in list(graph.node):
        writer.write(node)
    del graph.node[:]
    graph.node.extend(writer.nodes)
    if not any(node.domain == DOMAIN for node in graph.node):
        for entry in [entry for entry in lowered.opset_import if entry.domain == DOMAIN]:
            lowered.opset_import.remove(entry)
    return lowered


class _Writer:
    """The nodes of a graph, written one after the other."""

    def __init__(self, graph: GraphProto, opset: int) -> None:
        self.graph, self.opset = graph, opset
        self.nodes: list[NodeProto] = []
        self.names = used_names(graph)
        self.read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        self.distributions: set[str] = set()
        """Tensors whose rows sum to 1."""

    def write(self, node: NodeProto) -> None:
        """Write a node as plain ones, or as it is."""
        lowering = _LOWERINGS.get(node.op_type) if node.domain == DOMAIN else None
        attributes = Attributes.of(node, self.opset)
        if lowering is None or not lowering(self, attributes, node):
            self.nodes.append(node)

    def add(self, operator: str, operands: list[str], result: str | None = None, **attributes: Any) -> str:
        """Write a step; returns the name of what it gives."""
        name = result or self._free(operator)
        self.nodes.append(make_node(operator, operands, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add a float32 constant, or one of whole numbers; returns its name."""
        array = np.asarray(value)
        name = self._free("constant")
        array = array if array.dtype == np.int64 else array.astype(np.float32)
        self.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        return name

    def linear(self, rows: str, weights: NDArray[Any], bias: Any, result: str | None = None) -> str:
        """Write rows [N, F] times weights [K, F] plus a bias [K]."""
        product = self.add("MatMul", [rows, self.constant(weights.T)])
        return self.add("Add", [product, self.constant(bias)], result)

    def reduce(self, operator: str, operand: str) -> str:
        """Write a reduction of the last axis, which stays with a length of 1."""
        if self.opset >= AXES_ARE_OPERANDS:
            return self.add(operator, [operand, self.constant(np.array([-1], dtype=np.int64))])
        return self.add(operator, [operand], axes=[-1])

    def _free(self, name: str) -> str:
        free = free_name(name, self.names)
        self.names.add(free)
        return free


def _scaler(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    centred = writer.add("Sub", [node.input[0], writer.constant(attributes.get("offset", [0.0]))])
    writer.add("Mul", [centred, writer.constant(attributes.get("scale", [1.0]))], node.output[0])
    return True


def _imputer(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    values, replaced = attributes.get("imputed_value_floats"), attributes.get("replaced_value_float", 0.0)
    if not values:
        return False
    missing = (
        writer.add("IsNaN", [node.input[0]])
        if np.isnan(replaced)
        else writer.add("Equal", [node.input[0], writer.constant([replaced])])
    )
    writer.add("Where", [missing, writer.constant(values), node.input[0]], node.output[0])
    return True


def _normalizer(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    norm = attributes.get("norm", "MAX")
    if norm == "L1" and node.input[0] in writer.distributions:
        writer.add("Identity", [node.input[0]], node.output[0])
        return True
    if norm not in ("L1", "L2"):
        return False
    length = writer.reduce(f"Reduce{norm}", node.input[0])
    length = writer.add("Max", [length, writer.constant(SMALLEST)])
    writer.add("Div", [node.input[0], length], node.output[0])
    return True


def _linear_regressor(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    if attributes.get("post_transform", "NONE") != "NONE":
        return False
    targets = attributes.get("targets", 1)
    weights = np.array(attributes.get("coefficients")).reshape(targets, -1)
    writer.linear(node.input[0], weights, attributes.get("intercepts", [0.0] * targets), node.output[0])
    return True


def _linear_classifier(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    bias = np.array(attributes.get("intercepts", []))
    transform = attributes.get("post_transform", "NONE")
    one_row = len(bias) < 2  # the second class follows from the first by rules of its own
    if one_row or transform not in ("NONE", "SOFTMAX", "LOGISTIC") or node.output[0] in writer.read:
        return False
    weights = np.array(attributes.get("coefficients")).reshape(len(bias), -1)
    rows, scores = node.input[0], node.output[1]
    if transform == "LOGISTIC" and len(bias) == 2 and (weights[0] == -weights[1]).all() and bias[0] == -bias[1]:
        second = writer.add("Sigmoid", [writer.linear(rows, weights[1:], bias[1:])])
        first = writer.add("Sub", [writer.constant([1.0]), second])
        writer.add("Concat", [first, second], scores, axis=1)
        writer.distributions.add(scores)
    elif transform == "SOFTMAX":
        writer.add("Softmax", [writer.linear(rows, weights, bias)], scores, axis=1)
        writer.distributions.add(scores)
    elif transform == "LOGISTIC":
        writer.add("Sigmoid", [writer.linear(rows, weights, bias)], scores)
    else:
        writer.linear(rows, weights, bias, scores)
    return True


def _linear_machine(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    """A support vector regression with a linear kernel: its support vectors, weighted and added up."""
    plain = attributes.get("post_transform", "NONE") == "NONE" and not attributes.get("one_class")
    if not plain or attributes.get("kernel_type", "LINEAR") != "LINEAR":
        return False
    coefficients = np.array(attributes.get("coefficients"))
    count = attributes.get("n_supports")
    if count:
        coefficients = coefficients @ np.array(attributes.get("support_vectors")).reshape(count, -1)
    writer.linear(node.input[0], coefficients.reshape(1, -1), attributes.get("rho"), node.output[0])
    return True


def _extractor(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    flat = writer.add("Reshape", [node.input[1], writer.constant(np.array([-1], dtype=np.int64))])
    writer.add("Gather", [node.input[0], flat], node.output[0], axis=-1)
    return True


def _vectorizer(writer: _Writer, attributes: Attributes, node: NodeProto) -> bool:
    parts = [writer.add("Cast", [name], to=onnx.TensorProto.FLOAT) for name in node.input]
    writer.add("Concat", parts, node.output[0], axis=1)
    return True


_LOWERINGS: dict[str, Callable[[_Writer, Attributes, NodeProto], bool]] = {
    "ArrayFeatureExtractor": _extractor,
    "FeatureVectorizer": _vectorizer,
    "Imputer": _imputer,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _linear_regressor,
    "Normalizer": _normalizer,
    "SVMRegressor": _linear_machine,
    "Scaler": _scaler,
}
"""By the operator's type: writes the node as plain ones, and says whether it could."""
