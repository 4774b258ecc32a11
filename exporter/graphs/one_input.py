"""A flat row as the one tensor that a model of another framework takes: a picture, or a sequence of fixed length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from whyport.exporter.graphs.names import free_name, used_names
from whyport.exporter.graphs.pixels import PixelScale, ScalePixels
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.runtime.bundle.inputs import Input, TablePreparation, TextPreparation
from whyport.runtime.bundle.row import mask_of, row_shape, row_size, varies
from whyport.runtime.errors import UsageError
from whyport.runtime.inputs.feeds import PIXEL


def one_input(inputs: Sequence[Input], label: str) -> Input:
    """The only input of a model; raises UsageError where there are several, or it is no picture or sequence."""
    (first, *others) = inputs
    if others or isinstance(first.prepare, TablePreparation | TextPreparation) or varies(first) or mask_of(first):
        raise UsageError(f"--input: {label} takes one picture, or one sequence of fixed length; write a PyTorch module")
    return first


class OneInput(nn.Module):
    """Rows [N, F] to the tensor [N, ...].

    Args:
        given: the input.
        scale: what becomes of its pixels; None where it has none.
    """

    def __init__(self, given: Input, scale: PixelScale | None) -> None:
        super().__init__()
        self.shape = row_shape(given)
        self.scale = nn.Identity() if scale is None else ScalePixels(scale)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [N, F] to the tensor [N, ...]."""
        values: Tensor = self.scale(rows.reshape(-1, *self.shape))
        return values


def take_rows(model: onnx.ModelProto, given: Input, scale: PixelScale | None) -> None:
    """Change a model in place: its only input becomes rows float32 [N, F], and it computes what it took of these.

    Args:
        model: the model; its graph's first input is the one.
        given: what it takes.
        scale: what becomes of its pixels; None where it has none.
    """
    graph = model.graph
    taken = graph.input[0].name
    used = used_names(graph)
    row = free_name(INPUT, used)
    nodes: list[onnx.NodeProto] = []

    def step(operator: str, values: str, constant: np.ndarray[Any, Any] | None = None, **attributes: Any) -> str:
        given_to = [values]
        if constant is not None:
            used.add(name := free_name("constant", used))
            graph.initializer.append(numpy_helper.from_array(constant, name))
            given_to.append(name)
        used.add(made := free_name("given", used))
        nodes.append(helper.make_node(operator, given_to, [made], **attributes))
        return made

    values = step("Reshape", row, np.array([-1, *row_shape(given)], dtype=np.int64))
    if scale is not None:
        values = step("Div", values, np.array(PIXEL, dtype=np.float32))
        values = step("Sub", values, np.array(scale.mean, dtype=np.float32))
        values = step("Div", values, np.array(scale.deviation, dtype=np.float32))
        if scale.channels_first:
            values = step("Transpose", values, perm=[0, 3, 1, 2])
    nodes.append(helper.make_node("Identity", [values], [taken]))
    rest = [*graph.node]
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    graph.input[0].CopyFrom(helper.make_tensor_value_info(row, TensorProto.FLOAT, ["N", row_size(given)]))
