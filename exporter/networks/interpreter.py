"""An ONNX graph computed node by node: constants and shapes by NumPy, what depends on the row by PyTorch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from whyport.exporter.graphs.pruning import ancestors, names_read
from whyport.exporter.networks.operators import LAYERS, OPERATORS, Attributes
from whyport.runtime.errors import UnsupportedOperatorError, first_line

Value = Tensor | NDArray[Any] | None
"""A tensor that depends on the row, an array that does not, or nothing."""
SHAPES = {"Shape", "Size"}
BRANCH = "If"


@dataclass(frozen=True)
class Call:
    """One operator that depends on the row."""

    attributes: Attributes
    operands: tuple[str | NDArray[Any] | None, ...]
    """The name of a tensor that depends on the row, a constant, or None for an operand that is left out."""
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    """The first output's."""


@final
class Interpreter:
    """The graph of a model up to one of its tensors.

    Args:
        model: the model; its own functions are written out already.
        taken: the name of its rows.
        output: the name of the tensor that is wanted.

    Raises:
        UnsupportedOperatorError: an operator on the way has no counterpart.
    """

    def __init__(self, model: onnx.ModelProto, taken: str, output: str) -> None:
        self.taken, self.output = taken, output
        self.sets = list(model.opset_import)
        self.opset = max(entry.version for entry in self.sets if entry.domain in ("", "ai.onnx"))
        self.nodes = ancestors(model.graph, [output])
        self.constants: dict[str, NDArray[Any]] = _weights(model.graph)
        """What depends neither on the row nor on a shape; it grows while the graph is computed."""

    def run(self, rows: Tensor) -> list[Call]:
        """The operators that depend on the rows [N, F], in order; UnsupportedOperatorError where one is unknown."""
        run = _Run(self, rows)
        run.execute(self.nodes)
        if not isinstance(run.values.get(self.output), Tensor):
            raise UnsupportedOperatorError(f"the output {self.output!r} does not depend on the row")
        return run.calls


class _Run:
    """One pass over the graph, with a certain number of rows."""

    def __init__(self, graph: Interpreter, rows: Tensor) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {**graph.constants, graph.taken: rows, "": None}
        self.from_shapes: set[str] = set()
        self.calls: list[Call] = []

    def execute(self, nodes: Iterable[NodeProto]) -> None:
        for node in nodes:
            operands = [self.values[name] for name in node.input]
            attributes = Attributes.of(node, self.graph.opset)
            if node.op_type == BRANCH and not node.domain:
                self._branch(node, attributes, operands[0])
            elif node.op_type in SHAPES and isinstance(operands[0], Tensor):
                shape = np.array(operands[0].shape, dtype=np.int64)[attributes.get("start", 0) : attributes.get("end")]
                self.values[node.output[0]] = shape if node.op_type == "Shape" else shape.prod()
                self.from_shapes.add(node.output[0])
            elif any(isinstance(self.values.get(name), Tensor) for name in names_read(node)):
                self._call(node, attributes, operands)
            else:
                self._fold(node, attributes, operands)

    def _branch(self, node: NodeProto, attributes: Attributes, condition: Value) -> None:
        if isinstance(condition, Tensor):
            attributes.refuse("with a condition that depends on the row")
        assert condition is not None
        chosen: GraphProto = attributes.get("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
        self.values.update(_weights(chosen))
        self.execute(chosen.node)
        for name, inner in zip(node.output, chosen.output, strict=True):
            self.values[name] = self.values[inner.name]
            if isinstance(self.values[name], Tensor):
                again = Attributes("Identity", node.name or name, self.graph.opset, {})
                self.calls.append(Call(again, (inner.name,), (name,), tuple(self.values[name].shape)))  # type: ignore[union-attr]

    def _fold(self, node: NodeProto, attributes: Attributes, operands: Sequence[Value]) -> None:
        """A node of constants alone, by ONNX's own reference implementation."""
        if all(name in self.values for name in node.output):
            return
        feeds = {name: value for name, value in zip(node.input, operands, strict=True) if name}
        try:
            results = _evaluate(node, self.graph.sets, feeds)
        except Exception as error:  # whatever an implementation raises
            attributes.refuse(f"of constants ({first_line(error)})")
        computed = dict(zip((name for name in node.output if name), results, strict=False))
        self.values.update(computed)
        if self.from_shapes.intersection(node.input):
            self.from_shapes.update(computed)
        else:
            self.graph.constants.update(computed)

    def _call(self, node: NodeProto, attributes: Attributes, operands: Sequence[Value]) -> None:
        if attributes.operator not in OPERATORS and attributes.operator not in LAYERS:
            attributes.refuse()
        constants = [None if isinstance(operand, Tensor) else operand for operand in operands]
        try:
            if attributes.operator in LAYERS:
                if any(isinstance(operand, Tensor) for operand in operands[1:]):
                    attributes.refuse("with weights or states that depend on the row")
                given = LAYERS[attributes.operator](attributes, constants[1:])(operands[0])
            else:
                given = compute(attributes, operands)
        except UnsupportedOperatorError:
            raise
        except Exception as error:  # whatever PyTorch raises
            attributes.refuse(f"of these operands ({first_line(error)})")
        outputs = given if isinstance(given, tuple | list) else (given,)
        self.values.update(zip(node.output, outputs, strict=False))
        self.calls.append(
            Call(
                attributes,
                tuple(
                    name if isinstance(operand, Tensor) else operand
                    for name, operand in zip(node.input, operands, strict=True)
                ),
                tuple(node.output),
                tuple(outputs[0].shape),
            )
        )


def compute(attributes: Attributes, operands: Sequence[Any]) -> Any:
    """What an operator gives for operands as `networks.operators` says; arrays become tensors where it takes these."""
    operator = OPERATORS[attributes.operator]
    return operator.function(
        attributes,
        *(
            as_tensor(operand) if isinstance(operand, np.ndarray) and i not in operator.fixed else operand
            for i, operand in enumerate(operands)
        ),
    )


def as_tensor(value: NDArray[Any]) -> Tensor:
    """A constant as a tensor, float64 as float32."""
    value = value.astype(np.float32) if value.dtype == np.float64 else value
    return torch.from_numpy(np.array(value))


def _evaluate(node: NodeProto, sets: Any, feeds: dict[str, Any]) -> list[Any]:
    given = [onnx.helper.make_tensor_value_info(name, _kind(value), np.shape(value)) for name, value in feeds.items()]
    results = [onnx.helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "constant", given, results)
    computed = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=sets)).run(None, feeds)
    return [np.asarray(value) for value in computed]


def _kind(value: Any) -> int:
    return onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)


def _weights(graph: GraphProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
