"""Parts of an ONNX graph: what lies between some of its tensors, run by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from whyport.exporter.graphs.onnx import open_onnx
from whyport.runtime.errors import ExportError, first_line


class Parts:
    """The tensors of a graph and what makes them.

    Args:
        model: the model; it is not changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._makers = {name: node for node in model.graph.node for name in node.output if name}
        initializers = [*model.graph.initializer, *(sparse.values for sparse in model.graph.sparse_initializer)]
        self._constants = {tensor.name for tensor in initializers}
        self.inputs = {value.name for value in model.graph.input} - self._constants

    def maker(self, tensor: str) -> NodeProto | None:
        """The operator that gives a tensor; None for an input or a constant."""
        return self._makers.get(tensor)

    def above(self, tensor: str, stop: Callable[[NodeProto], bool]) -> tuple[list[NodeProto], list[str]]:
        """The operators that a tensor is made by, in the graph's order, and the tensors where the way up ends.

        The way ends at outputs of operators that `stop` names, and at the graph's inputs.
        """
        found: dict[int, NodeProto] = {}
        ends: dict[str, None] = {}
        waiting, seen = [tensor], {tensor}
        while waiting:
            name = waiting.pop()
            node = self._makers.get(name)
            if node is None or stop(node):
                if name in self.inputs or node is not None:
                    ends[name] = None
                continue
            found[id(node)] = node
            for taken in _taken(node):
                if taken and taken not in seen:
                    seen.add(taken)
                    waiting.append(taken)
        return [node for node in self._model.graph.node if id(node) in found], list(ends)

    def compute(
        self, nodes: Sequence[NodeProto], given: Mapping[str, NDArray[Any]], output: str
    ) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]:
        """The function from some tensors to another, by ONNX Runtime.

        Args:
            nodes: the operators between them, in order.
            given: by name, arrays of the types and shapes that the function takes; their first axis may be any length.
            output: the tensor that it gives.

        Raises:
            ExportError: ONNX Runtime does not take the part of the graph.
        """
        if not nodes:
            return lambda arrays: arrays[output]
        names = {name for node in nodes for name in _taken(node)}
        inputs = [_described(name, array) for name, array in given.items()]
        graph = helper.make_graph(list(nodes), "part", inputs, [ValueInfoProto(name=output)])
        graph.initializer.extend(tensor for tensor in self._model.graph.initializer if tensor.name in names)
        graph.sparse_initializer.extend(
            tensor for tensor in self._model.graph.sparse_initializer if tensor.values.name in names
        )
        model = helper.make_model(graph, opset_imports=self._model.opset_import, functions=self._model.functions)
        model.ir_version = self._model.ir_version
        session = open_onnx(model.SerializeToString())

        def run(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
            try:
                return np.asarray(session.run([output], dict(arrays))[0])
            except Exception as error:
                raise ExportError(f"a part of the graph fails: {first_line(error)}") from error

        return run


def _taken(node: NodeProto) -> Iterator[str]:
    """The tensors that an operator takes, those inside its branches too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield from _taken(inner)


def _described(name: str, array: NDArray[Any]) -> ValueInfoProto:
    kind = TensorProto.DOUBLE if array.dtype == np.float64 else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, ["N", *array.shape[1:]])
